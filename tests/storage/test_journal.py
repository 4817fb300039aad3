"""The diary of a long piece of work."""

from pathlib import Path

from penumbra.storage.journal import Journal


def test_work_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    diary = Journal(tmp_path / "place" / "diary.jsonl")
    assert not diary.begin({"days": 3})
    diary.add({"day": 1})
    assert Journal(diary.path).begin({"days": 3})
    assert Journal(diary.path).steps() == [{"day": 1}]


def test_other_work_begins_anew(tmp_path: Path) -> None:
    diary = Journal(tmp_path / "diary.jsonl")
    diary.begin({"days": 3})
    diary.add({"day": 1})
    assert not diary.begin({"days": 4})
    assert diary.steps() == []


def test_a_line_that_was_cut_off_doesnt_count_and_spoils_nothing(tmp_path: Path) -> None:
    diary = Journal(tmp_path / "diary.jsonl")
    diary.begin({"days": 3})
    diary.add({"day": 1})
    with diary.path.open("a") as lines:
        lines.write('{"day": 2, "vers')
    assert diary.steps() == [{"day": 1}]
    diary.add({"day": 2})
    assert diary.steps() == [{"day": 1}, {"day": 2}]
