"""What the documents say exists, exists and works."""

import json
import re
from pathlib import Path

import click
import pytest

from penumbra.cli import app
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.logs.queries.lookup import INDEX_FILE
from problem import schema
from service.http.requests.record_reader import Contract

DOCUMENTS = [
    PROJECT_ROOT / "README.md",
    PROJECT_ROOT / "CONTRIBUTING.md",
    PROJECT_ROOT / "CHANGELOG.md",
    *sorted((PROJECT_ROOT / "docs").glob("*.md")),
]
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))
COMMAND_LINE = app.main
CODE_FOLDERS = ("penumbra", "problem", "flows", "service", "monitoring", "deploy", "benchmarks")
SETTINGS = {
    f"{section}.{key}" for section, field in Settings.model_fields.items() for key in field.annotation.model_fields
}


def text_of(document: Path) -> str:
    return document.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_a_document_names_exists(document):
    assert (
        set(re.findall(r"make ([a-z][a-z-]+)", "\n".join(re.findall(r"`[^`\n]+`|^\$ .*$", text_of(document), re.M))))
        <= TARGETS
    )


def test_the_readme_names_every_target():
    assert {target for target in TARGETS if f"make {target}" not in text_of(PROJECT_ROOT / "README.md")} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_that_a_document_names_exists(document):
    sections = "|".join(Settings.model_fields)
    dotted = set(re.findall(rf"`((?:{sections})\.[a-z_]+)`", text_of(document)))
    variables = re.findall(r"PENUMBRA_([A-Z]+)__([A-Z_]+)", text_of(document))
    dotted -= {"data.dvc"}
    named = dotted | {f"{section}.{key}".lower() for section, key in variables if section not in ("SECTION", "KEYS")}
    assert named <= SETTINGS


def test_the_readmes_curl_example_keeps_the_contract():
    body = re.search(r"/predict -d '(\{.*?\})'", text_of(PROJECT_ROOT / "README.md"), re.DOTALL)
    record = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1).parse_one(body[1].encode())
    assert set(record) == set(json.loads(body[1]))


def test_every_file_in_the_readmes_tree_exists():
    tree = text_of(PROJECT_ROOT / "README.md").split("Edit one folder and one file:")[1].split("```")[1]
    places = [line.split()[0] for line in tree.splitlines() if line and not line.startswith(" ")]
    files = [f"problem/{line.split()[0]}" for line in tree.splitlines() if line.startswith("  ")]
    made_later = {"data/", "var/"}
    assert [place for place in places + files if place not in made_later and not (PROJECT_ROOT / place).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_project_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)\)", text_of(document))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_of_the_code_that_a_document_names_exists(document):
    folders = "|".join(
        ["penumbra", "flows", "service", "monitoring", "problem", "tests", "benchmarks", "deploy", "locks"]
    )
    named = re.findall(rf"`((?:{folders})/[\w./-]+\.(?:py|lock|html|yaml))`", text_of(document))
    assert [name for name in named if not (PROJECT_ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_the_examples_in_a_document_import_exists(document):
    blocks = re.findall(r"^```python\n(.*?)^```", text_of(document), re.DOTALL | re.MULTILINE)
    imports = [
        line for block in blocks for line in block.splitlines() if re.match(r"from (penumbra|monitoring)\b", line)
    ]
    for line in imports:
        exec(line, {})


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if path.parent.name == "docs"], ids=lambda path: path.name
)
def test_a_page_that_names_the_file_of_the_index_names_that_of_its_format(document):
    assert set(re.findall(r"\bindex[-\d]*\.db", text_of(document))) <= {INDEX_FILE}


def test_the_answers_to_where_do_i_name_at_most_three_files():
    table = text_of(PROJECT_ROOT / "CONTRIBUTING.md").split("## Where do I")[1].split("\n## ")[0]
    answers = {
        line: re.findall(r"`([\w./]+\.(?:py|toml|html))`", line) for line in table.splitlines() if line[:1] == "|"
    }
    rows = list(answers.values())[2:]
    assert [line for line, files in list(answers.items())[2:] if not 1 <= len(files) <= 3] == []
    assert [name for files in rows for name in files if not (PROJECT_ROOT / name).exists()] == []


def test_the_picture_of_the_loop_has_the_words_of_its_source():
    """Graphviz makes it, by hand: dot -Tsvg docs/loop.dot -o docs/loop.svg."""
    words = set(re.findall(r">([^<>\n]+)<", text_of(PROJECT_ROOT / "docs" / "loop.dot")))
    drawn = set(re.findall(r">([^<>\n]+)</text>", text_of(PROJECT_ROOT / "docs" / "loop.svg")))
    assert {"monitor", "realised loss"} < words <= drawn


def command_lines(text):
    """The words after `penumbra` of each command line in code, up to a placeholder, a pipe or the line's end."""
    code = "\n".join(re.findall(r"`+[^`]+`+", text))
    return [line.split() for line in re.findall(r"(?:^|[\s`(/])penumbra ((?:[a-z]|--)[^`\n|#;)>]*)", code)]


def unknown_words(words):
    """What the command line has no command or option for: nothing, or the first such word."""
    if words[0].startswith("--"):
        return [] if words[0] == "--help" else words[:1]
    command, words = COMMAND_LINE, ["penumbra", *words]
    while words[1:] and isinstance(command, click.Group):
        command, words = command.commands.get(words[1]), words[1:]
    if command is None:
        return words[:1]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    return [word for word in words[1:] if re.fullmatch(r"--[a-z-]+", word) and word not in known]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_document_names_exists_with_its_options(document):
    assert [words for words in command_lines(text_of(document)) if unknown_words(words)] == []


def test_every_command_that_a_message_or_docstring_names_exists_with_its_options():
    files = [path for folder in CODE_FOLDERS for path in (PROJECT_ROOT / folder).rglob("*.py")]
    wrong = [(path.name, words) for path in files for words in command_lines(text_of(path)) if unknown_words(words)]
    assert wrong == []


def test_every_make_target_that_a_message_or_docstring_names_exists():
    files = [path for folder in CODE_FOLDERS for path in (PROJECT_ROOT / folder).rglob("*.py")]
    named = {(path.name, name) for path in files for name in re.findall(r"`make ([a-z][a-z-]+)", text_of(path))}
    assert {(file, name) for file, name in named if name not in TARGETS} == set()


def test_the_readme_names_every_command():
    readme = text_of(PROJECT_ROOT / "README.md")
    named = set(re.findall(r"`penumbra ([a-z-]+)", readme)) | set(re.findall(r"`make ([a-z]+)", readme))
    assert set(COMMAND_LINE.commands) - named == set()
