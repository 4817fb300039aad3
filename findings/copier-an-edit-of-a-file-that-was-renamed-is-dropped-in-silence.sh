#!/usr/bin/env bash
# copier 9.19.1: `copier update` merges what a project changed in a file, and marks what conflicts. Where the template has
# renamed the file meanwhile, the project's change is in neither the old nor the new place, without a conflict, a *.rej file
# or a message; the same where the template has deleted it. Only git's history still has it.
#
# Git itself, asked to merge the same two changes, takes the edit along to the new name.
#
# Seen: the update ends with exit code 0, the old file is gone, the new one lacks the project's line, nothing is unmerged.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check copier==9.19.1
export GIT_CONFIG_GLOBAL="$place/gitconfig"
git config --global user.name somebody
git config --global user.email somebody@localhost
git config --global init.defaultBranch main
copier() { "$place/venv/bin/copier" "$@" --quiet --defaults; }
commit() { git -C "$1" add -A && git -C "$1" commit -q -m "$2"; }

git init -q "$place/template"
printf -- '_answers_file: answers.yml\n' > "$place/template/copier.yml"
printf -- '{{ _copier_answers|to_nice_yaml }}' > "$place/template/answers.yml.jinja"
seq 1 20 > "$place/template/old.txt"
commit "$place/template" one && git -C "$place/template" tag 1.0.0
copier copy "$place/template" "$place/project"
git init -q "$place/project" && commit "$place/project" start

git -C "$place/template" mv old.txt new.txt
commit "$place/template" two && git -C "$place/template" tag 2.0.0
sed -i 's/^10$/10 of our own/' "$place/project/old.txt"
commit "$place/project" edit

copier update --answers-file answers.yml "$place/project"
{
  echo "lines of our own: $(grep -rh --exclude-dir=.git "of our own" "$place/project" | wc -l)"
  echo "unmerged: $(git -C "$place/project" ls-files --unmerged | wc -l)"
  cd "$place/project" && find . -name '*.txt' -o -name '*.rej'
} > "$place/seen"
printf 'lines of our own: 0\nunmerged: 0\n./new.txt\n' | diff - "$place/seen" && echo "copier 9.19.1: as described"
