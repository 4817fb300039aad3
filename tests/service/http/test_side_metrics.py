import datetime as dt
from pathlib import Path

from penumbra.logs.archiving.archive_health import save_archive_health
from penumbra.logs.lag import METRICS_FILE
from service.http.side_metrics import read_side_metrics
from tests.helpers.servers import local_service


def test_before_shadow_and_archiver_have_run_there_are_no_metrics_of_theirs(tmp_path: Path) -> None:
    assert read_side_metrics(local_service.make_service_settings(tmp_path).service) == b""


def test_the_archivers_failures_and_its_last_pass_are_metrics_beside_the_shadows(tmp_path: Path) -> None:
    service = local_service.make_service_settings(tmp_path).service
    service.shadow_log.mkdir(parents=True)
    (service.shadow_log / METRICS_FILE).write_text("penumbra_shadow_heartbeat_seconds 7\n")
    save_archive_health(service.predictions, ["one", "two"], dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    shown = read_side_metrics(service).decode().splitlines()
    assert [line for line in shown if not line.startswith("#")] == [
        "penumbra_shadow_heartbeat_seconds 7",
        "penumbra_archive_failures 2",
        "penumbra_archive_pass_seconds 1704067200",
    ]
