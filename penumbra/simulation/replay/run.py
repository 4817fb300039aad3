"""`make replay`: the months after the settings' today, day by day, through the real loop: requests and labels over HTTP
to the service as `make serve` starts it, ingest, monitor, retraining, shadow, promotion and rollback. `DAYS=14` for the
short form. All of it is in a folder of its own; killed, it goes on where it was."""

import datetime as dt
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import problem.source
from penumbra.core.http_client import find_free_port
from penumbra.core.settings import PROJECT_ROOT, Settings, load_settings
from penumbra.registry import code_version
from penumbra.simulation.replay import day_loop, report, sandbox, traffic
from penumbra.simulation.replay.day_loop import DayLoop
from penumbra.storage.journal import Journal

JOURNAL_FILE = "diary.jsonl"
CODE_PATTERNS = ["[a-z]*/**/*.py", "locks/runtime.lock"]  # what was played by other code is played again
EXPECTED_ERRORS = (sandbox.ReplayTimeout, sandbox.ReplayFailed, OSError)
MAX_SHORT_DAYS, DAYS_BEFORE_BATCH, N_FAULT_DAYS = 60, 3, 3


@dataclass(frozen=True)
class ReplayPlan:
    """Which days are played, and on which of them the weather feed is in the wrong unit."""

    first: dt.date
    last: dt.date
    fault: dt.date
    seed: int

    @property
    def days(self) -> list[dt.date]:
        return [self.first + dt.timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    @property
    def fault_days(self) -> list[dt.date]:
        return [self.fault + dt.timedelta(days=number) for number in range(N_FAULT_DAYS)]


def main() -> tuple[Path, str]:
    """Play, and tell; returns where the report is, and the words."""
    settings = load_settings()
    script = plan_replay(settings, int(os.environ.get("DAYS") or 0))
    folder = settings.replay.folder.absolute()
    work = day_loop.to_plain_json(
        {
            **asdict(script),
            "code": code_version.compute_fingerprint(PROJECT_ROOT, CODE_PATTERNS),
            "settings": settings.model_dump(mode="json"),
        }
    )
    if not Journal(folder / JOURNAL_FILE).begin(work):
        sandbox.clear_sandbox(folder)
        Journal(folder / JOURNAL_FILE).begin(work)
    settings = sandbox.enter_sandbox(folder, build_replay_environment(settings))
    try:
        run_days(settings, script)
    except EXPECTED_ERRORS as error:
        raise SystemExit(f"{error}\nWhat was played is kept: the same command goes on from there.") from None
    words = report.write_replay_report(settings, script, Journal(folder / JOURNAL_FILE).steps(), folder)
    print(words)
    return folder, words


def plan_replay(settings: Settings, days: int) -> ReplayPlan:
    """All days from today to the end of the last batch; or a few of them, in which a batch arrives."""
    complete = [batch.complete for batch in problem.source.batches() if batch.complete > settings.data.today]
    if not complete:
        raise SystemExit(f"no batch is complete after data.today = {settings.data.today}: there is nothing to replay")
    first = settings.data.today
    if 0 < days < MAX_SHORT_DAYS:
        first = max(first, complete[0] - dt.timedelta(days=DAYS_BEFORE_BATCH))
    last = min(first + dt.timedelta(days=days - 1) if days else complete[-1], complete[-1] - dt.timedelta(days=1))
    rng = np.random.default_rng(settings.replay.seed)
    return ReplayPlan(first, last, first + dt.timedelta(days=int(rng.integers(0, 2))), settings.replay.seed)


def build_replay_environment(settings: Settings) -> dict[str, str]:
    """A clock that runs faster, and a recipe that is fast to fit."""
    return {
        "PENUMBRA_TRAINING__CANDIDATES": settings.replay.candidate,
        "PENUMBRA_SERVICE__PORT": str(find_free_port()),
        "PENUMBRA_SERVICE__POLL_SECONDS": "0.2",
        "PENUMBRA_SHADOW__CATCH_UP_HOURS": "87600",  # the days are seconds: none is too old
        "PENUMBRA_SHADOW__BATCH_ROWS": "4096",
        "PENUMBRA_LOG__KEEP_DAYS": "3650",
        "PENUMBRA_RULES__APPLY": "false",  # it is models that are compared
    }


def run_days(settings: Settings, script: ReplayPlan) -> None:
    """Every day that the diary doesn't have yet."""
    diary, life = Journal(Path(JOURNAL_FILE)), DayLoop(settings, script.first)
    done = {step["day"] for step in diary.steps()}
    left = [day for day in script.days if str(day) not in done]
    if not left:
        return
    life.train_first_model()
    world = traffic.load_traffic_days(
        day_loop.make_source_settings(settings),
        script.first - dt.timedelta(days=day_loop.LABEL_DELAY_DAYS),
        script.last,
    )
    with sandbox.run_service(settings) as service:
        for day in left:
            diary.add(life.run_day(service, world, day, day in script.fault_days, day == script.first))
            report.print_progress(diary.steps(), script)


if __name__ == "__main__":
    main()
