"""`penumbra replay`: the months after the settings' today, played day by day through the real loop.

Requests and labels go over HTTP to the service as `make serve` starts it; ingest, monitor, retraining, shadow,
promotion and rollback are the real ones. `--days 14` for the short form. All of it is in a folder of its own; killed,
it goes on where it was.
"""

import contextlib
import datetime as dt
import importlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from flows.steps.processes.flow_forks import FlowRunner
from flows.steps.processes.task_forks import REGISTRY_MODULES
from flows.steps.train.plan import require_known_candidates
from penumbra.core.loading.project_loading import load_project
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError
from penumbra.core.system.http_client import find_free_port
from penumbra.core.task import Task
from penumbra.data.source_reader import BatchRefused, SourceFailed, list_source_batches
from penumbra.simulation.replay import day_loop, report, sandbox, traffic
from penumbra.simulation.replay.day_loop import DayLoop
from penumbra.simulation.replay.faults import InjectedFault, choose_fault
from penumbra.simulation.replay.traffic import Traffic
from penumbra.storage import fingerprints
from penumbra.storage.journal import Journal

JOURNAL_FILE = "diary.jsonl"
PLAYED_MODULES = ("problem", "service", "flows.train", "penumbra.simulation.replay.run")
EXPECTED_ERRORS = (sandbox.ReplayTimeout, sandbox.ReplayFailed, OSError)
MAX_SHORT_DAYS, DAYS_BEFORE_BATCH, N_FAULT_DAYS = 60, 3, 3
PLAN_ERRORS = (SettingsError, ProblemError, SourceFailed, BatchRefused)


@dataclass(frozen=True)
class ReplayPlan:
    """The days that are played, `fault` the first one with a data fault, and the random seed."""

    first: dt.date
    last: dt.date
    fault: dt.date
    seed: int

    @property
    def days(self) -> list[dt.date]:
        """All days, from the first to the last."""
        return [self.first + dt.timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    @property
    def fault_days(self) -> list[dt.date]:
        """The days whose requests have a data fault; in a short replay only those that the monitor gets to see."""
        length = min(N_FAULT_DAYS, max(1, len(self.days) - 2))
        return [self.fault + dt.timedelta(days=number) for number in range(length)]

    @property
    def window_days(self) -> int:
        """The longest window of the monitor of which a whole one is over before the last day."""
        return max(1, len(self.days) // 2)


def main(runner: FlowRunner, days: int = 0) -> tuple[Path, str]:
    """Play the days that are not played yet, and print the report.

    Args:
        runner: What runs flows.
        days: How many days to play, 0 for all.

    Returns:
        The report's folder and the printed words.

    Raises:
        SettingsError: A setting is wrong.
        ProblemError: A file of problem/ is wrong.
        SourceFailed: The source can't be read.
        BatchRefused: A batch of the source breaks the contract.
        SystemExit: There is nothing to replay, or the replay stopped; what was played is kept.
    """
    settings, problem = load_project()
    require_known_candidates("replay.candidate", [settings.replay.candidate], problem.candidates.CANDIDATES)
    plan = plan_replay(settings, problem, days)
    folder = settings.replay.folder.absolute()
    work = day_loop.to_plain_json(
        {
            **asdict(plan),
            "code": fingerprints.compute_fingerprint(PROJECT_ROOT, list_replay_files()),
            "settings": settings.describe_sections(),
        }
    )
    if not Journal(folder / JOURNAL_FILE).begin(work):
        sandbox.clear_sandbox(folder)
        Journal(folder / JOURNAL_FILE).begin(work)
    settings = sandbox.enter_sandbox(folder, build_replay_environment(settings, plan))
    try:
        with contextlib.ExitStack() as ending:
            run_days(settings, problem, plan, runner, ending)
            steps = Journal(folder / JOURNAL_FILE).steps()
            task, label_days = Task.from_schema(problem.schema), day_loop.count_label_days(settings)
            words = report.write_replay_report(settings, steps, task, label_days, folder)
    except EXPECTED_ERRORS as error:
        raise SystemExit(f"{error}\nWhat was played is kept: the same command goes on from there.") from None
    print(words)
    return folder, words


def list_replay_files() -> list[str]:
    """List the files that a replay depends on: what was played by other code is played again.

    Returns:
        Paths relative to the project: the lock of the libraries, and the modules that service, flows and replay import.
    """
    rooms = {entry.partition(".")[0] for entry in PLAYED_MODULES} | {"monitoring"}
    return fingerprints.list_result_files(PROJECT_ROOT, PLAYED_MODULES, sorted(rooms))


def plan_replay(settings: Settings, problem: Problem, days: int) -> ReplayPlan:
    """Plan the days of a replay.

    Args:
        settings: Sections [data] (`today`) and [replay] (`seed`) are read.
        problem: The problem, with its source.
        days: How many days are played; 0 for all from today to the end of the last batch. A short replay begins a few
            days before a batch arrives.

    Returns:
        The plan.

    Raises:
        SystemExit: No batch is complete after today.
    """
    complete = [batch.complete for batch in list_source_batches(problem) if batch.complete > settings.data.today]
    if not complete:
        raise SystemExit(f"no batch is complete after data.today = {settings.data.today}: there is nothing to replay")
    first = settings.data.today
    if 0 < days < MAX_SHORT_DAYS:
        first = max(first, complete[0] - dt.timedelta(days=DAYS_BEFORE_BATCH))
    last = min(first + dt.timedelta(days=days - 1) if days else complete[-1], complete[-1] - dt.timedelta(days=1))
    rng = np.random.default_rng(settings.replay.seed)
    return ReplayPlan(first, last, first + dt.timedelta(days=int(rng.integers(0, 2))), settings.replay.seed)


def build_replay_environment(settings: Settings, plan: ReplayPlan) -> dict[str, str]:
    """Build the environment of a replay: a clock that runs faster, and a recipe that is fast to fit.

    Args:
        settings: Sections [replay] (`candidate`) and [monitor] (`window_days`) are read.
        plan: The days.

    Returns:
        Environment variables.
    """
    return {
        "PENUMBRA_TRAINING__CANDIDATES": settings.replay.candidate,
        "PENUMBRA_MONITOR__WINDOW_DAYS": str(min(settings.monitor.window_days, plan.window_days)),
        "PENUMBRA_SERVICE__WORKERS": "1",  # the log has the answers in the order of the requests
        "PENUMBRA_SERVICE__PORT": str(find_free_port()),
        "PENUMBRA_SERVICE__POLL_SECONDS": "0.1",
        "PENUMBRA_SHADOW__CATCH_UP_HOURS": "87600",  # the days are seconds: none is too old
        "PENUMBRA_SHADOW__BATCH_ROWS": "4096",
        "PENUMBRA_SHADOW__NICENESS": "0",  # each day waits for it: on a busy machine it would get no processor
        "PENUMBRA_LOG__KEEP_DAYS": "3650",
        "PENUMBRA_CLUSTER__STATE": "",  # its ledger is its own
        "PENUMBRA_REGISTRY__SIGNED_BY": "[]",  # nobody signs the sabotaged candidate
        "PENUMBRA_PROMOTION__APPROVE": "rule",  # nobody is there to approve anything
        "PENUMBRA_MONITOR__APPROVE": "rule",
        "PENUMBRA_RULES__APPLY": "false",  # it is models that are compared
        "PENUMBRA_RULES__EXPLORE_SHARE": "0",
        "PENUMBRA_FLYWHEEL__PERIOD": "",  # the source has the same rows
        "PENUMBRA_REVIEW__PER_DAY": "0",  # not by the clock: the replay picks when a day is over
    }


def run_days(
    settings: Settings, problem: Problem, plan: ReplayPlan, runner: FlowRunner, ending: contextlib.ExitStack
) -> None:
    """Play every day that the journal doesn't have yet, and add each to it.

    Args:
        settings: Those of the replay's folder.
        problem: The problem, with every part.
        plan: The days.
        runner: What runs flows.
        ending: Closes logs, and waits for the end of the service, which begins to end after the last day.

    Raises:
        ReplayTimeout: Something that the replay waits for doesn't happen.
        ReplayFailed: A flow or a request failed.
    """
    journal = Journal(Path(JOURNAL_FILE))
    steps = journal.steps()
    done = {step["day"] for step in steps}
    if len(done) == len(plan.days):
        return
    is_first = day_loop.ingest_first_batches(plan.first)  # alone: the training waits for it, and the rest has time
    service = ending.enter_context(sandbox.run_service(settings))
    with ThreadPoolExecutor(1) as beside:
        preparing = beside.submit(prepare_days, settings, problem, plan)
        if is_first:
            day_loop.train_first_model(settings, runner)
        rows, plan, fault = preparing.result()
    loop = ending.enter_context(contextlib.closing(DayLoop(settings, problem, rows, runner)))
    service.wait_until_ready()
    for day in [day for day in plan.days if str(day) not in done]:
        steps.append(loop.run_day(service, day, fault if day in plan.fault_days else None, day == plan.first))
        journal.add(steps[-1])
        report.print_progress(steps, len(plan.days))
    service.begin_to_end()


def prepare_days(
    settings: Settings, problem: Problem, plan: ReplayPlan
) -> tuple[Traffic, ReplayPlan, InjectedFault | None]:
    """Prepare what days are played from, beside the training of the first model.

    Args:
        settings: Section [data] is read.
        problem: The problem, with every part.
        plan: The days.

    Returns:
        The traffic, the plan with days that have rows, and its data fault.

    Raises:
        BatchRefused: A batch of the source breaks the contract.
        ReplayFailed: No day has any rows.
    """
    rows = traffic.load_traffic(day_loop.make_source_settings(settings), problem)
    plan = move_to_rows(plan, rows, settings.data.today)
    fault = plan_fault(problem, rows, plan)
    for module in REGISTRY_MODULES:  # which the first promotion pass needs
        importlib.import_module(module)
    return rows, plan, fault


def move_to_rows(plan: ReplayPlan, rows: Traffic, today: dt.date) -> ReplayPlan:
    """Move a plan to the first days that have rows, where its own have none.

    Args:
        plan: The plan.
        rows: The traffic.
        today: The earliest day.

    Returns:
        A plan of as many days.

    Raises:
        ReplayFailed: No day from `today` on has any rows.
    """
    found = rows.find_first_day(plan.first)
    if found is None or found > plan.last:
        found = rows.find_first_day(today)
    if found is None:
        raise sandbox.ReplayFailed(f"no row of the source is from {today} or later: set an earlier data.today")
    later = found - plan.first if found > plan.last or found < plan.first else dt.timedelta(0)
    return replace(plan, first=plan.first + later, last=plan.last + later, fault=plan.fault + later)


def plan_fault(problem: Problem, rows: Traffic, plan: ReplayPlan) -> InjectedFault | None:
    """Choose the data fault of a replay.

    Args:
        problem: The problem, with schema and features.
        rows: The traffic.
        plan: The days.

    Returns:
        The fault; None where the fault's days have no rows, or no column can be altered within the contract.
    """
    faulty = [requests for day in plan.fault_days if (requests := rows.select_day(day).requests).height]
    return choose_fault(problem, rows.select_days_before(plan.fault), faulty) if faulty else None
