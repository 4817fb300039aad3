"""What is done of a table belongs to one beginning of it: nothing of an earlier one, or of another table, counts."""

import contextlib
import itertools
import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest

from flows.steps.errors import FlowStopped, stop_with_one_sentence
from flows.steps.score import scoring
from flows.steps.score.outputs.output_files import write_outputs
from flows.steps.score.parts.part_facts import PartFacts
from flows.steps.score.parts.part_scoring import FACTS_FILE, SCORES_FILE
from flows.steps.score.parts.record_check import RowsRefused
from flows.steps.score.receipts import format_receipts
from flows.steps.score.score_order import TOKENS, ScoreOrder, begin_tables
from flows.steps.score.scoring import SCORE_ERRORS, score_share, score_tables
from flows.steps.score.shared_parts import SharedParts
from flows.steps.shared.shared_work import share_work
from penumbra.cli.reports.serving.score_report import score_with_progress
from penumbra.core.settings import Settings, load_settings
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.sources.tables.locations import is_parquet
from penumbra.storage.shared import lease
from penumbra.storage.work_lock import WorkInProgress
from problem import schema
from tests.flows.score.scored_flights import (
    make_flights,
    make_problem,
    make_score_settings,
    read_logged,
    score_files,
    write_flights,
)
from tests.helpers.servers import local_service


@pytest.fixture
def enter_pod(tmp_path, monkeypatch):
    """Enter the empty work folder of a pod in which version 1 is live; all of them share a folder. Gives settings."""
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", str(tmp_path / "shared"))
    monkeypatch.setenv("PENUMBRA_REGISTRY__TRACKING", "")

    def enter(name: str) -> Settings:
        (pod := tmp_path / name).mkdir(exist_ok=True)
        local_service.deploy_version(pod, "1", baseline=0.25)
        monkeypatch.chdir(pod)
        folders = {"SERVICE__STATE": "state", "SERVICE__PREDICTIONS": "predictions", "SCORE__FOLDER": "score"}
        for key, place in {**folders, "LABELS__FOLDER": "labels", "REVIEW__FOLDER": "reviews"}.items():
            monkeypatch.setenv(f"PENUMBRA_{key}", place)
        monkeypatch.setenv("PENUMBRA_SCORE__PART_ROWS", "40")
        return load_settings()

    return enter


def score_in_pod(settings: Settings, order: ScoreOrder) -> list[bool]:
    """Score as the steps of the flow do. Returns of each table whether it was scored now."""
    with share_work("score", order.job):
        return [new for _, new in score_tables(settings, make_problem(), order, begin_tables(settings, order))]


def stop(done: int, _: int) -> None:
    """Stop after the second part."""
    if done == 2:
        raise KeyboardInterrupt


def test_segments_of_the_tables_of_one_call_have_names_that_follow_each_other(folder):
    for name in "abc":
        write_flights(folder / f"in/{name}.csv", make_flights(1))
    tables = begin_tables(make_score_settings(folder), ScoreOrder(f"{folder}/in", f"{folder}/out"))
    tokens = [int(table.begun.token, 16) for table in tables]
    assert [(later - token) % TOKENS for token, later in itertools.pairwise(tokens)] == [1, 1]
    assert {len(table.begun.name_segment(7)) for table in tables} == {17}


@pytest.mark.slow
@pytest.mark.parametrize("changed", [False, True])
def test_whoever_comes_while_a_table_is_scored_leaves_what_is_done_of_it(folder, changed):
    source = write_flights(folder / "in.parquet", make_flights())
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))
    refused = []

    def come(done: int, _: int) -> None:
        if done == 2:
            with pytest.raises(WorkInProgress) as error:
                begin_tables(settings, ScoreOrder(asked.source, asked.output, encoding="latin-1") if changed else asked)
            refused.append(error.value)

    list(score_tables(settings, make_problem(), asked, begin_tables(settings, asked), report=come))
    assert len(refused) == 1
    assert (pl.read_parquet(asked.output).height, len(read_logged(folder))) == (100, 100)


@pytest.mark.slow
def test_a_table_that_was_begun_anew_is_not_scored_as_it_was_begun_before(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))
    tables = begin_tables(settings, asked)
    write_flights(source, make_flights(50, seed=2))
    begin_tables(settings, asked)
    with pytest.raises(WorkInProgress, match=r"another score has begun in\.parquet anew"):
        list(score_tables(settings, make_problem(), asked, tables))


@pytest.mark.slow
def test_parts_of_a_table_that_has_changed_do_not_count_when_they_come_back(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights())
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    settings = enter_pod("one")
    with pytest.raises(KeyboardInterrupt), share_work("score", order.job):
        list(score_tables(settings, make_problem(), order, begin_tables(settings, order), report=stop))
    write_flights(source, make_flights(seed=2))
    settings = enter_pod("two")
    with share_work("score", order.job):
        tables = begin_tables(settings, order)
    with share_work("score", order.job):  # brings back what is missing here
        list(score_tables(settings, make_problem(), order, tables))
    logged = {entry["id"] for entry in read_logged(Path())}
    assert set(pl.read_parquet(order.output)["prediction_id"]) == logged
    assert len(logged) == 100


@pytest.mark.slow
def test_a_receipt_that_comes_back_does_not_count_for_a_query_or_again(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights(30))
    again = ScoreOrder(str(source), str(tmp_path / "scores.parquet"), again=True)
    query = ScoreOrder(f"select * from '{source}'", str(tmp_path / "answers.parquet"))
    for name in ("one", "two"):
        settings = enter_pod(name)
        for order in (again, query):
            with share_work("score", order.job):
                tables = begin_tables(settings, order)
            with share_work("score", order.job):
                assert [new for _, new in score_tables(settings, make_problem(), order, tables)] == [True]
        assert len(read_logged(Path())) == 60


@pytest.mark.slow
def test_a_machine_that_is_lost_after_it_has_shipped_its_logs_has_left_the_parts(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights())
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    settings = enter_pod("one")
    with share_work("score", order.job):
        tables = begin_tables(settings, order)
    shutil.copytree(Path(), tmp_path / "lost")
    for name in ("lost", "two"):  # the first one pushes nothing at its end
        settings = enter_pod(name)
        with contextlib.ExitStack() as shared:
            shared.enter_context(share_work("score", order.job)) if name == "two" else None
            assert [new for _, new in score_share(settings, make_problem(), order, tables, 1)[0]] == [True]
    enter_pod("three")
    fetch_logs(load_settings())
    logged = [entry["id"] for entry in read_logged(Path())]
    assert sorted(logged) == sorted(pl.read_parquet(order.output)["prediction_id"])
    assert len(logged) == 100


@pytest.mark.slow
def test_a_table_that_one_machine_begins_is_scored_by_another_that_has_nothing(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights())
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    settings = enter_pod("one")
    with share_work("score", order.job):
        tables = begin_tables(settings, order)
    settings = enter_pod("two")
    with share_work("score", order.job):
        ((receipt, is_new),), refused = score_share(settings, make_problem(), order, tables, 1)
    assert (receipt.facts.answered, is_new, refused) == (100, True, [])


@pytest.mark.slow
def test_a_task_that_is_done_again_says_what_became_of_the_tables_as_the_lost_one_would_have(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights(30))
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    settings = enter_pod("one")
    with share_work("score", order.job):
        tables = begin_tables(settings, order)
    for name in ("lost", "two"):
        settings = enter_pod(name)
        with share_work("score", order.job):
            scored, _ = score_share(settings, make_problem(), order, tables, 1)
        assert next(format_receipts(scored, schema)).startswith("in.parquet: 30 of 30 rows answered by version 1")


@pytest.mark.slow
def test_two_machines_do_not_score_one_table_at_once(enter_pod, tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.6)
    source = write_flights(tmp_path / "in.parquet", make_flights())
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    settings, refused = enter_pod("one"), []

    def come(done: int, _: int) -> None:
        if done == 2:
            other = enter_pod("two")
            with share_work("score", order.job):
                given = other, make_problem(), order, begin_tables(other, order)
                assert list(score_tables(*given, refused=refused)) == []
            enter_pod("one")

    with share_work("score", order.job):
        tables = begin_tables(settings, order)
    with share_work("score", order.job):
        list(score_tables(settings, make_problem(), order, tables, report=come))
    assert [said.partition(" (since")[0] for said in refused] == ["another score of in.parquet is at work"]
    assert (pl.read_parquet(order.output).height, len(read_logged(tmp_path / "one"))) == (100, 100)
    assert not (tmp_path / "two/predictions").exists()


@pytest.mark.slow
def test_of_a_table_that_is_refused_for_its_rows_machines_share_no_parts(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.csv", make_flights(400))
    with source.open("a") as file:
        file.write('"open')
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    settings = enter_pod("one")
    with pytest.raises(KeyboardInterrupt), share_work("score", order.job):
        list(score_tables(settings, make_problem(), order, begin_tables(settings, order), report=stop))
    assert list((tmp_path / "shared/score").rglob(FACTS_FILE))
    settings = enter_pod("two")
    with share_work("score", order.job):
        tables = begin_tables(settings, order)
    said = []
    for name in ("two", "three"):  # as a task that is done again
        settings = enter_pod(name)
        with share_work("score", order.job):
            assert list(score_tables(settings, make_problem(), order, tables, refused=said)) == []
    assert [sentence.startswith("in.csv") for sentence in said] == [True, True]
    assert [path.name for path in (tmp_path / "shared/score").rglob("*") if path.is_file()] == ["begun.json"]


@pytest.mark.slow
def test_a_query_whose_rows_were_refused_is_run_anew(folder):
    source = write_flights(folder / "in.parquet", make_flights(30).drop("dest"))
    with pytest.raises(RowsRefused, match="the query has no column dest"):
        score_files(folder, query := f"select * from '{source}'")
    write_flights(source, make_flights(30))
    ((receipt, _),) = score_files(folder, query)
    assert receipt.facts.answered == 30


def test_a_table_that_somebody_scores_keeps_no_other_one_from_being_begun(folder):
    for name in "ab":
        write_flights(folder / f"in/{name}.csv", make_flights(1))
    settings, order = make_score_settings(folder), ScoreOrder(f"{folder}/in", f"{folder}/out")
    (first, second), refused = begin_tables(settings, order), list[str]()
    with first.hold():
        assert begin_tables(settings, order, refused) == [second]
        assert [said.partition(" (since")[0] for said in refused] == ["another score of a.csv is at work"]
        with second.hold(), pytest.raises(WorkInProgress, match=r"score of a\.csv is at work.*; .*score of b\.csv"):
            begin_tables(settings, order, [])


def test_what_the_system_refuses_ends_a_flow_with_a_sentence(folder):
    source = write_flights(folder / "in.parquet", make_flights(1))
    (folder / "score").write_text("no folder")
    with pytest.raises(FlowStopped, match="/score"), stop_with_one_sentence(*SCORE_ERRORS):
        begin_tables(make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet")))


@pytest.mark.slow
def test_a_part_of_which_a_lost_machine_left_half_is_scored_again(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights())
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    settings = enter_pod("one")
    (table,) = begin_tables(settings, order)
    (half := table.locate_part(1)).mkdir(parents=True)
    (half / "scores.arrow").write_text("half")
    assert table.list_done() == []
    assert score_in_pod(settings, order) == [True]
    assert len(read_logged(Path())) == 100


@pytest.mark.slow
def test_once_tables_are_done_machines_share_their_receipts_alone(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in/a.parquet", make_flights())
    order = ScoreOrder(str(tmp_path / "in"), str(tmp_path / "out"))
    settings = enter_pod("one")
    with pytest.raises(KeyboardInterrupt), share_work("score", order.job):
        list(score_tables(settings, make_problem(), order, begin_tables(settings, order), report=stop))
    SharedParts.from_settings(settings, order.job).remove_done()
    shared = tmp_path / "shared/score" / order.job
    assert {path.parent.name for path in shared.rglob("facts.json")} == {"000000", "000001"}
    write_flights(source, make_flights(seed=2))
    settings = enter_pod("two")
    with share_work("score", order.job):
        score_share(settings, make_problem(), order, begin_tables(settings, order), 1)
    SharedParts.from_settings(settings, order.job).remove_done()
    assert sorted(path.name for path in shared.rglob("*") if path.is_file()) == ["begun.json", "done.json"]
    assert score_in_pod(enter_pod("three"), order) == [False]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_parts_with_other_columns_are_joined_by_their_names(tmp_path, name):
    """As of versions with other features, where a run went on after a promotion."""
    source = write_flights(tmp_path / "in.parquet", make_flights())
    (table,) = begin_tables(make_score_settings(tmp_path), ScoreOrder(str(source), str(tmp_path / name)))
    rows = [{"penumbra.row": [0], "x": [1.0], "y": [2.0]}, {"penumbra.row": [1], "y": [7.0], "z": [8.0]}]
    for number, columns in enumerate(rows):
        (part := table.locate_part(number)).mkdir(parents=True)
        pl.DataFrame(columns).write_ipc(part / SCORES_FILE)
        (part / FACTS_FILE).write_bytes(msgspec.json.encode(PartFacts()))
    write_outputs(table)
    joined = (pl.read_parquet if is_parquet(name) else pl.read_csv)(tmp_path / name)
    assert joined.columns == ["penumbra.row", "x", "y", "z"]
    assert joined.rows() == [(0, 1.0, 2.0, None), (1, None, 7.0, 8.0)]


@pytest.mark.slow
def test_another_machine_finds_that_a_table_is_done(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights())
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    assert score_in_pod(enter_pod("one"), order) == [True]
    assert score_in_pod(enter_pod("two"), order) == [False]


@pytest.mark.slow
def test_the_command_too_goes_on_with_what_another_machine_has_done_and_ships_what_it_logs(enter_pod, tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights())
    order = ScoreOrder(str(source), str(tmp_path / "scores.parquet"))
    settings = enter_pod("one")
    with pytest.raises(KeyboardInterrupt), share_work("score", order.job):
        list(score_tables(settings, make_problem(), order, begin_tables(settings, order), report=stop))
    scored = [score_with_progress(enter_pod(name), make_problem(), order, 1)[0] for name in ("two", "three")]
    assert [[is_new for _, is_new in each] for each in scored] == [[True], [False]]
    shared = [path.name for path in (tmp_path / "shared/score").rglob("*") if path.is_file()]
    assert sorted(shared) == ["begun.json", "done.json"]
    fetch_logs(load_settings())
    logged = [entry["id"] for entry in read_logged(Path())]
    assert sorted(logged) == sorted(pl.read_parquet(order.output)["prediction_id"])


@pytest.mark.slow
@pytest.mark.parametrize("patience", [60.0, 0.0])
def test_a_table_whose_place_can_not_be_reached_is_tried_again_after_the_others_for_a_while(
    enter_pod, tmp_path, monkeypatch, patience
):
    for name in "ab":
        write_flights(tmp_path / f"in/{name}.parquet", make_flights())
    order, settings, refused, failed = ScoreOrder(f"{tmp_path}/in", f"{tmp_path}/out"), enter_pod("one"), [], []

    def write_later(table):
        if table.name == "a.parquet" and len(failed) < 3:
            failed.append(table)
            raise ConnectionError("the store is away")
        return write_outputs(table)

    monkeypatch.setattr(scoring, "write_outputs", write_later)
    monkeypatch.setattr(scoring, "AWAY_SECONDS", 0.0)
    monkeypatch.setattr(scoring, "PATIENCE_SECONDS", patience)
    with share_work("score", order.job):
        given = settings, make_problem(), order, begin_tables(settings, order)
        scored = [receipt.table.name for receipt, _ in score_tables(*given, refused=refused)]
    assert scored == (["b.parquet", "a.parquet"] if patience else ["b.parquet"])
    assert refused == ([] if patience else ["a.parquet: the store is away"])
    assert len(read_logged(Path())) == 200


@pytest.mark.slow
def test_a_table_whose_content_was_there_before_is_begun_anew(folder):
    source = write_flights(folder / "in.csv", make_flights())
    score_files(folder, source)
    score_files(folder, source, encoding="latin-1")
    assert [is_new for _, is_new in score_files(folder, source)] == [True]
    assert len(read_logged(folder)) == 300
