"""`make replay`: the months after the settings' today, day by day, through the real loop: requests and labels over HTTP
to the service as `make serve` starts it, ingest, monitor, retraining, shadow, promotion and rollback. `DAYS=14` for the
short form. All of it is in a folder of its own; killed, it goes on where it was."""

import datetime as dt
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import problem.source
import settings
from flows.asking import free_port
from flows.replaying import living, stage, story, traffic
from flows.replaying.living import Life
from settings import ROOT, Settings
from stores import code
from stores.diary import Diary

DIARY = "diary.jsonl"
CODE = ["*.py", "*/*.py", "*/*/*.py", "locks/runtime.lock"]  # what was played by other code is played again
EXPECTED = (stage.Stuck, stage.Failed, OSError)
SHORT, BEFORE_BATCH, FAULT_DAYS = 60, 3, 3


@dataclass(frozen=True)
class Script:
    """Which days are played, and on which of them the weather feed is in the wrong unit."""

    first: dt.date
    last: dt.date
    fault: dt.date
    seed: int

    @property
    def days(self) -> list[dt.date]:
        return [self.first + dt.timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    @property
    def faulty(self) -> list[dt.date]:
        return [self.fault + dt.timedelta(days=number) for number in range(FAULT_DAYS)]


def main() -> tuple[Path, str]:
    """Play, and tell; returns where the report is, and the words."""
    chosen = settings.load()
    script = written(chosen, int(os.environ.get("DAYS") or 0))
    folder = chosen.replay.folder.absolute()
    work = living.plain(
        {**asdict(script), "code": code.fingerprint(ROOT, CODE), "settings": chosen.model_dump(mode="json")}
    )
    if not Diary(folder / DIARY).begin(work):
        stage.clear(folder)
        Diary(folder / DIARY).begin(work)
    chosen = stage.enter(folder, overrides(chosen))
    try:
        live_through(chosen, script)
    except EXPECTED as error:
        raise SystemExit(f"{error}\nWhat was played is kept: the same command goes on from there.") from None
    words = story.tell(chosen, script, Diary(folder / DIARY).steps(), folder)
    print(words)
    return folder, words


def written(chosen: Settings, days: int) -> Script:
    """All days from today to the end of the last batch; or a few of them, in which a batch arrives."""
    complete = [batch.complete for batch in problem.source.batches() if batch.complete > chosen.data.today]
    if not complete:
        raise SystemExit(f"no batch is complete after data.today = {chosen.data.today}: there is nothing to replay")
    first = chosen.data.today
    if 0 < days < SHORT:
        first = max(first, complete[0] - dt.timedelta(days=BEFORE_BATCH))
    last = min(first + dt.timedelta(days=days - 1) if days else complete[-1], complete[-1] - dt.timedelta(days=1))
    rng = np.random.default_rng(chosen.replay.seed)
    return Script(first, last, first + dt.timedelta(days=int(rng.integers(0, 2))), chosen.replay.seed)


def overrides(chosen: Settings) -> dict[str, str]:
    """A clock that runs faster, and a recipe that is fast to fit."""
    return {
        "PENUMBRA_TRAINING__CANDIDATES": chosen.replay.candidate,
        "PENUMBRA_SERVICE__PORT": str(free_port()),
        "PENUMBRA_SERVICE__POLL_SECONDS": "0.2",
        "PENUMBRA_SHADOW__CATCH_UP_HOURS": "87600",  # the days are seconds: none is too old
        "PENUMBRA_SHADOW__BATCH_ROWS": "4096",
        "PENUMBRA_LOG__KEEP_DAYS": "3650",
        "PENUMBRA_RULES__APPLY": "false",  # it is models that are compared
    }


def live_through(chosen: Settings, script: Script) -> None:
    """Every day that the diary doesn't have yet."""
    diary, life = Diary(Path(DIARY)), Life(chosen, script.first)
    done = {step["day"] for step in diary.steps()}
    left = [day for day in script.days if str(day) not in done]
    if not left:
        return
    life.begin()
    world = traffic.year(living.world(chosen), script.first - dt.timedelta(days=living.DELAY), script.last)
    with stage.serving(chosen) as service:
        for day in left:
            diary.add(life.live(service, world, day, day in script.faulty, day == script.first))
            story.progress(diary.steps(), script)


if __name__ == "__main__":
    main()
