"""What steps of flows leave for others where each works in an empty folder: pushed at the end, also of a failure."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from metaflow import current

from flows.steps.errors import FlowStopped, stop_with_one_sentence
from flows.steps.ingest import ingestion, recorded_version
from flows.steps.shared.shared_data import fill_data_folder, publish_pointer
from flows.steps.shared.shared_folders import leave_attempt
from flows.steps.shared.shared_work import share_work
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import Problem
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore
from penumbra.data.versioning import versions
from penumbra.data.versioning.restoring import RestoreFailed
from penumbra.logs.append_log import read_entries
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.storage.cache import RunReceipts
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.object_sequence import ObjectSequence
from tests.helpers.logs.prediction_logs import append_to_new_segment
from tests.helpers.logs.replica_logs import ship
from tests.helpers.logs.review_cases import make_action, pick_predictions
from tests.helpers.problems.orders import load_orders

Pod = Callable[[str], Path]
RUN = Path("var/train/7")


@pytest.fixture
def pod(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pod]:
    """Enter the empty work folder of a pod; all of them share a bucket."""
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", f"{bucket}/state")
    monkeypatch.setenv("PENUMBRA_DATA__REMOTE", str(tmp_path / "remote"))
    before = Path.cwd()

    def enter(name: str) -> Path:
        (tmp_path / name).mkdir()
        os.chdir(tmp_path / name)
        return tmp_path / name

    yield enter
    os.chdir(before)


def leave_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def record_batch(text: str) -> str:
    """Record a data version of one batch, as an ingest does. Returns its md5."""
    data = load_settings().data
    leave_text(data.folder / "batches" / "a" / "a.csv", text)
    return versions.record_data_version(data).md5


def fail_after_a_rejection() -> None:
    with share_work("train", "7"):
        leave_text(RUN / "rejections", "tree: no")
        raise ZeroDivisionError


def test_a_step_finds_what_an_earlier_one_left_in_another_folder(pod: Pod) -> None:
    pod("one")
    with share_work("train", "7"):
        leave_text(RUN / "attempts" / "a.pickle", "trial")
        RunReceipts(Path("var/train")).save("f", "Version 1 is live")
    pod("two")
    with share_work("train", "7"):
        assert (RUN / "attempts" / "a.pickle").read_text() == "trial"
        assert RunReceipts(Path("var/train")).read_latest() == "Version 1 is live"
    pod("three")
    with share_work("train", "8"):
        assert not RUN.exists()


@pytest.mark.slow
def test_a_step_that_fails_leaves_what_it_made_and_its_reason_stays_the_reason(pod: Pod) -> None:
    pod("one")
    with pytest.raises(ZeroDivisionError):
        fail_after_a_rejection()
    pod("two")
    with share_work("train", "7"):
        assert (RUN / "rejections").read_text() == "tree: no"


@pytest.mark.slow
def test_a_monitor_pass_finds_the_windows_of_earlier_ones_and_trainings_their_failures(pod: Pod) -> None:
    pod("one")
    with share_work("monitor"):
        leave_text(Path("var/monitor/windows/2024-01-01.json"), "window")
        leave_text(Path("var/monitor/reports/2024-01-01/published.json"), "published")
    with share_work("train", "7"):
        leave_text(Path("var/failures/a.parquet"), "rows")
    pod("two")
    with share_work("monitor"):
        assert Path("var/monitor/windows/2024-01-01.json").read_text() == "window"
        assert Path("var/monitor/reports/2024-01-01/published.json").read_text() == "published"
        assert Path("var/failures/a.parquet").read_text() == "rows"


@pytest.mark.slow
def test_a_step_whose_lease_another_machine_took_pushes_nothing_over_what_that_one_made(pod: Pod) -> None:
    pod("one")
    with share_work("train", "7"):
        leave_text(RUN / "rejections", "of the successor")
    pod("stale")
    with pytest.raises(FlowStopped, match="taken"), share_work("train", "7"), stop_with_one_sentence():  # noqa: PT012
        leave_text(RUN / "rejections", "stale")
        raise LeaseLost("taken")
    pod("later")
    with share_work("train", "7"):
        assert (RUN / "rejections").read_text() == "of the successor"


@pytest.mark.slow
def test_a_step_that_is_done_again_after_its_pod_was_lost_replaces_what_it_left(pod: Pod) -> None:
    for name, text in (("one", "half"), ("two", "whole")):
        pod(name)
        with share_work("train", "7"):
            leave_text(RUN / "labels.npy", text)
    pod("three")
    with share_work("train", "7"):
        assert (RUN / "labels.npy").read_text() == "whole"


@pytest.mark.slow
def test_a_store_that_refuses_stops_the_flow_in_one_sentence(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod("one")
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", "s3://no-such-bucket/state")
    with pytest.raises(FlowStopped, match="no-such-bucket"), share_work("promote"):
        record_batch("1")


@pytest.mark.slow
def test_the_steps_of_a_training_keep_the_data_version_that_it_began_with(pod: Pod) -> None:
    pod("one")
    first = record_batch("1")
    with share_work("train", "7"):
        pass
    pod("two")
    record_batch("2")
    with share_work("ingest", "8"):
        publish_pointer(load_settings(), b"")
    pod("three")
    with share_work("train", "7"):
        fill_data_folder(load_settings())
        assert versions.compute_data_version(load_settings().data) == first
    pod("four")
    with share_work("train", "9"):
        fill_data_folder(load_settings())
        assert Path("data/batches/a/a.csv").read_text() == "2"


@pytest.mark.slow
def test_data_that_the_remote_lacks_is_said(pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pod("one")
    version = record_batch("1")
    pointer = (folder / "data.dvc").read_text()
    pod("two")
    Path("data.dvc").write_text(pointer)
    monkeypatch.setenv("PENUMBRA_DATA__REMOTE", str(tmp_path / "elsewhere"))
    with pytest.raises(RestoreFailed, match=rf"{version}.* can't be brought here: .*elsewhere doesn't have it"):
        fill_data_folder(load_settings())


def open_pod_store(problem: Problem) -> DataStore:
    return DataStore(load_settings().data, problem)


def finish_ingest(problem: Problem, run: str, accepted: list[str]) -> str:
    """Do what the flow's last step does of it."""
    with share_work("ingest", run):
        recorded_version.complete_data_folder(open_pod_store(problem), accepted, "")
        return recorded_version.report_data_version(open_pod_store(problem))


@pytest.mark.slow
def test_an_ingest_whose_steps_work_in_empty_folders_and_are_done_again_records_each_version_once(
    pod: Pod, tmp_path: Path, bucket: str
) -> None:
    problem = load_orders(tmp_path)
    for run, batches in (("1", ["2024-01", "2024-02"]), ("2", ["2024-03"])):
        for attempt in ("", "-again"):
            pod(f"check-{run}{attempt}")
            with share_work("ingest", run):
                accepted = ingestion.check_batches(open_pod_store(problem), batches)
        words = []
        for attempt in ("", "-again"):
            pod(f"finish-{run}{attempt}")
            words.append(finish_ingest(problem, run, accepted))
        assert words[0] == words[1]
    alone = DataStore(load_settings().data.model_copy(update={"folder": tmp_path / "alone" / "data"}), problem)
    alone.admit(ingestion.check_batches(alone, ["2024-01", "2024-02", "2024-03"]))
    assert words[0] == f"data version {versions.compute_data_version(alone.settings)}: 3 batches, 2024-01 to 2024-03"
    assert ObjectSequence(f"{bucket}/state/data-version").list_numbers() == [1, 2]


@pytest.mark.slow
def test_labels_of_batches_are_logged_once_by_pods_that_begin_without_a_log(pod: Pod, tmp_path: Path) -> None:
    problem, said = load_orders(tmp_path), []
    for run, batches in (("1", ["2024-01"]), ("2", ["2024-02"])):
        for attempt in ("", "-again"):
            pod(f"{run}{attempt}")
            with share_work("ingest", run):
                recorded_version.complete_data_folder(
                    open_pod_store(problem), ingestion.check_batches(open_pod_store(problem), batches), ""
                )
                recorded_version.report_data_version(open_pod_store(problem))
                said.append(ingestion.attach_batch_labels(open_pod_store(problem)))
    rows = [open_pod_store(problem).rows(batch).height for batch in ("2024-01", "2024-02")]
    assert said == [f"{count:,} labels are new" for count in (rows[0], 0, rows[1], 0)]
    pod("reader")
    fetch_logs(load_settings())
    assert len(list(read_entries(load_settings().labels.folder))) == sum(rows)


@pytest.mark.slow
def test_an_ingest_in_an_empty_folder_logs_the_label_that_an_answer_of_people_lacks(pod: Pod) -> None:
    folder, settings = pod("board"), load_settings()
    (case,) = pick_predictions(folder / "var")
    append_to_new_segment(settings.review.folder, [make_action(case, minutes=42)])
    ship(settings)
    pod("ingest")
    assert ingestion.attach_batch_labels(open_pod_store(load_problem())) == "0 labels are new"
    (label,) = read_entries(load_settings().labels.folder)
    assert (label["prediction"], label["label"]) == (case, {"arr_delay": 42})


@pytest.mark.slow
def test_an_ingest_that_cant_push_records_nothing(
    pod: Pod, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = load_orders(tmp_path)
    monkeypatch.setenv("PENUMBRA_DATA__REMOTE", "s3://no-such-bucket/data")
    pod("one")
    with share_work("ingest", "1"):
        accepted = ingestion.check_batches(open_pod_store(problem), ["2024-01"])
    pod("two")
    with pytest.raises(
        recorded_version.IngestRefused, match="nothing is recorded, since other machines look into the remote"
    ):
        finish_ingest(problem, "1", accepted)
    assert ObjectSequence(f"{bucket}/state/data-version").list_numbers() == []


@pytest.mark.slow
@pytest.mark.parametrize(("retries", "found"), [(0, False), (1, True)])
def test_that_an_attempt_is_under_way_is_left_by_a_retry_only(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, retries: int, found: bool
) -> None:
    monkeypatch.setattr(type(current), "retry_count", retries, raising=False)
    pod("one")
    leave_text(RUN / "attempts" / "tree.pickle", "under way")
    leave_attempt(RUN, is_over=False)
    pod("two")
    with share_work("train", "7"):
        assert (RUN / "attempts" / "tree.pickle").exists() == found


@pytest.mark.slow
def test_what_an_attempt_came_to_is_left_at_once(pod: Pod) -> None:
    pod("one")
    leave_text(RUN / "attempts" / "tree.pickle", "done")
    leave_attempt(RUN, is_over=True)
    pod("two")
    with share_work("train", "7"):
        assert (RUN / "attempts" / "tree.pickle").read_text() == "done"


@pytest.mark.slow
def test_one_machine_alone_reads_and_writes_nothing_and_imports_no_store(tmp_path: Path) -> None:
    code = (
        "import sys; from flows.steps.shared.shared_work import share_work\n"
        "with share_work('train', '7'): pass\n"
        "print([name for name in ('fsspec', 'polars', 'penumbra.storage.shared.mirror') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, list(tmp_path.iterdir())) == ("[]\n", [])
