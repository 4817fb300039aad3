"""Answers never replace what is scored, nor each other, and a place that can't be written is known before the first."""

import pytest

from flows.steps.score.outputs.output_places import OutputRefused, locate_output, name_outputs
from flows.steps.score.score_order import ScoreOrder, begin_tables
from flows.steps.score.scoring import score_tables
from tests.flows.score.scored_flights import (
    make_flights,
    make_problem,
    make_score_settings,
    read_logged,
    score_files,
    write_flights,
)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("in/a.parquet", "in/a.parquet"),
        ("in/a.parquet", "in/../in/a.parquet"),
        ("in", "in"),
        ("link.parquet", "in/a.parquet"),
        ("in/a.parquet", "link.parquet"),
        ("in/b.rejected.csv", "in/b.csv"),
    ],
)
def test_an_output_that_is_an_input_is_refused_and_the_input_stays(folder, source, output):
    flights = make_flights(5)
    for name in ("a.parquet", "b.rejected.csv"):
        write_flights(folder / "in" / name, flights)
    (folder / "link.parquet").symlink_to(folder / "in/a.parquet")
    before = {path: path.read_bytes() for path in (folder / "in").iterdir()}
    with pytest.raises(
        OutputRefused, match=r"is [ab]\..*, which is to be scored|is link\.parquet, which is to be scored"
    ):
        score_files(folder, folder / source, output)
    assert {path: path.read_bytes() for path in (folder / "in").iterdir()} == before
    assert read_logged(folder) == []


def test_a_query_can_not_replace_the_file_that_it_reads(folder):
    source = write_flights(folder / "in/a.parquet", make_flights(5))
    for query in (f"select * from '{source}'", f"""from read_parquet("{folder}/in/*.parquet")"""):
        with pytest.raises(OutputRefused, match=r"would be scored themselves the next time"):
            score_files(folder, query, "in/a.parquet")


@pytest.mark.parametrize(
    ("source", "output"),
    [("in", "in/answers"), ("in/**/*.parquet", "in/answers"), ("in/*.csv", "in/answers.csv"), ("linked", "in/answers")],
)
def test_answers_that_would_be_scored_the_next_time_are_refused(folder, source, output):
    for name in ("a.parquet", "a.csv"):
        write_flights(folder / "in" / name, make_flights(5))
    if output == "in/answers":
        (folder / "in/a.csv").unlink()
    (folder / "linked").symlink_to(folder / "in")
    with pytest.raises(OutputRefused, match=r"would be scored themselves the next time.*: expected an --out outside"):
        score_files(folder, folder / source, output)
    assert read_logged(folder) == []


@pytest.mark.parametrize(("source", "output"), [("in", "in/_answers"), ("in/*.parquet", "in/answers"), ("in", "inner")])
def test_answers_beside_the_input_that_it_does_not_find_are_written(folder, source, output):
    write_flights(folder / "in/a.parquet", make_flights(5))
    for is_new in (True, False):
        assert [new for _, new in score_files(folder, folder / source, output)] == [is_new]


@pytest.mark.parametrize(
    "output",
    [
        "x.json",
        "out/x.csv.gz",
        "x.XLSX",
        "s3://bucket/x.jsonl",
        "x.rejected.csv",
        "s3://bucket/x.rejected.parquet",
        "caf\udce9.csv",
    ],
)
def test_an_output_with_a_name_that_is_none_for_answers_is_refused(folder, output):
    source = write_flights(folder / "in.parquet", make_flights(5))
    asked = ScoreOrder(str(source), output if "://" in output else str(folder / output))
    with pytest.raises(
        OutputRefused, match=r"x\.json|ends in \.\w+: expected .*\.parquet or .*\.csv, or a folder|called|isn't UTF-8"
    ):
        begin_tables(make_score_settings(folder), asked)
    assert not (folder / output).exists()
    assert not (folder / "score").exists()


@pytest.mark.parametrize(
    ("output", "address"),
    [
        ("x.old/", "x.old"),
        ("there.old", "there.old"),
        ("x.v2", "x.v2"),
        ("2024.05", "2024.05"),
        (".answers", ".answers"),
        ("there.old/../x.CSV", "x.CSV"),
        ("x.csv/", "x.csv/"),
        ("there.old/../x.parquet//", "x.parquet/"),
    ],
)
def test_a_folder_may_be_called_anything_and_has_one_address(tmp_path, monkeypatch, output, address):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.old").mkdir()
    assert locate_output(output) == f"{tmp_path}/{address}"
    slash = "/" * output.endswith("/")
    assert ScoreOrder("in", output).job == ScoreOrder("in", f"{tmp_path}/{address}".rstrip("/") + slash).job


def test_the_only_table_of_a_folder_that_is_called_as_a_file_is_within_it():
    assert name_outputs(locate_output("/answers.csv/"), ["a.csv"]) == ["/answers.csv/a.parquet"]
    assert name_outputs(locate_output("s3://bucket/x.parquet/"), ["a.csv"]) == ["s3://bucket/x.parquet/a.parquet"]


def test_a_bucket_may_have_a_dot_in_its_name():
    assert locate_output("s3://data.example/") == locate_output("s3://data.example") == "s3://data.example"


def test_rejected_rows_and_the_answers_of_another_table_do_not_share_a_file():
    with pytest.raises(OutputRefused, match=r"a\.rejected\.csv and the rejected rows of a\.csv would both become"):
        name_outputs("/answers", ["a.csv", "a.rejected.csv"])
    with pytest.raises(OutputRefused, match=r"the rejected rows of a\.csv and a\.rejected\.csv would both become"):
        name_outputs("/answers", ["a.rejected.csv", "a.csv"])
    assert name_outputs("/answers", ["a.csv", "b.csv"]) == ["/answers/a.parquet", "/answers/b.parquet"]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "http://127.0.0.1:1/out.csv",
            r"http://127\.0\.0\.1:1/out\.csv can't be written: expected a path, or a URL of",
        ),
        ("nowhere://bucket/out.csv", r"Protocol not known: nowhere"),
        ("libarchive://out.csv", r"libarchive://out\.csv can't be reached: "),
    ],
)
def test_a_store_that_takes_no_files_is_known_before_anything_is_logged(folder, output, reason):
    source = write_flights(folder / "in.parquet", make_flights(5))
    settings, order = make_score_settings(folder), ScoreOrder(str(source), output)
    with pytest.raises(ValueError, match=reason):
        list(score_tables(settings, make_problem(), order, begin_tables(settings, order)))
    assert read_logged(folder) == []


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("file/out.csv", r"out\.csv can't be written, as .*file can't: "),
        ("folder.csv", r"folder\.csv is a folder: expected the name of a file"),
        ("other.csv", r"other\.rejected\.csv is a folder"),
    ],
)
def test_a_place_that_can_not_be_written_is_known_before_anything_is_logged(folder, output, reason):
    source = write_flights(folder / "in.parquet", make_flights(5))
    (folder / "file").write_text("in the way")
    for name in ("folder.csv", "other.rejected.csv"):
        (folder / name).mkdir()
    with pytest.raises(OutputRefused, match=reason):
        score_files(folder, source, output)
    assert read_logged(folder) == []
