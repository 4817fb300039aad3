"""A monitor pass: measures and judges the windows that are due, and enters what is new in the ledger.

Where many are due, several tasks of the flow measure them: see flows/steps/monitor/backlog.py.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import msgspec
import polars as pl

from flows.steps.monitor import alarms, retraining
from flows.steps.monitor.measures.late_labels import compute_due_time, describe_late_labels, find_late_labels
from flows.steps.monitor.measures.window_measures import MeasuredWindow, measure_window, sum_rows_by_day
from flows.steps.monitor.monitor_pass import KnownModels, MonitorPass, begin_monitor_pass, get_flow_time
from flows.steps.processes.flow_locks import hold_monitor_pass
from flows.steps.shared.shared_folders import share_judged_windows
from monitoring.faults.arrivals import find_staleness_faults
from monitoring.faults.data_faults import DataFault
from monitoring.faults.usual_arrivals import UsualArrivals
from monitoring.windows.response import decide_response
from monitoring.windows.window_days import format_window_days
from monitoring.windows.window_records import Window
from monitoring.windows.window_store import WindowStore
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count
from penumbra.logs.lag_alarms import list_lag_alarms
from penumbra.logs.queries.daily import count_daily_answers
from penumbra.registry.bundles.manifest import UnfitBundle
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.pointers import read_shadow_versions

EPOCH_DAY, FIRST_DAY = dt.date(1970, 1, 1), dt.date(1900, 1, 1)  # that windows are counted from, and that is judged
MAX_LEAD = dt.timedelta(days=366)  # of a row's time before the clock: what is further ahead, a wrong clock has dated
MeasuredWindows = Iterable[tuple[dt.date, MeasuredWindow | str]]


@dataclass(frozen=True)
class DueWindows:
    """The windows that were due when a pass began.

    Attributes:
        begins: Their first days, the earliest first.
        late: By the first day of each that is due again as labels came late, the days of these labels.
        rows: The number of rows by day and model, as `count_daily_answers` returns it, of days until `now`.
        now: The time of the pass.
        silence: The fault that rows have stopped arriving, or nothing.
        damaged: A sentence for each damaged segment of a log.
        behind: A sentence for each process that is behind with the logs.
    """

    begins: list[dt.date]
    late: dict[dt.date, list[dt.date]]
    rows: pl.DataFrame
    now: dt.datetime
    silence: list[DataFault]
    damaged: list[str]
    behind: list[str]


def judge_due_windows(settings: Settings, problem: Problem, known: KnownModels | None = None) -> list[str]:
    """Judge every window that is due, or due again as its labels are or have come late.

    Args:
        settings: The settings.
        problem: The user's problem.
        known: As for `begin_monitor_pass`.

    Returns:
        The alarms that are new, a sentence each, and who is behind with the logs as long as that lasts.

    Raises:
        PassInProgress: Another pass is running.
        BrokenBundle: The bundle of a window's model is damaged.
        BrokenLedger: The ledger is damaged, or the live model's past isn't here.
        MlflowException: The registry can't be read.
    """
    with hold_windows(settings):
        monitor_pass, due = find_due_windows(settings, problem, known)
        return judge_measured_windows(settings, problem, due, measure_windows(monitor_pass, due.rows, due.begins))


@contextmanager
def hold_windows(settings: Settings) -> Iterator[None]:
    """Let nobody else judge windows for the block, which finds those that others have judged.

    Args:
        settings: Sections [monitor] and [cluster] are read.

    Yields:
        Nothing.

    Raises:
        PassInProgress: Another pass is running.
        LeaseLost: At the end of the block: this machine was silent for too long, and another one is at it now.
        StoreError: What machines share refuses, or is away.
    """
    with hold_monitor_pass(settings, "watch"), share_judged_windows(settings):
        yield


def find_due_windows(
    settings: Settings, problem: Problem, known: KnownModels | None = None
) -> tuple[MonitorPass, DueWindows]:
    """Begin a pass, while windows are held.

    Args:
        settings: The settings.
        problem: The user's problem.
        known: As for `begin_monitor_pass`.

    Returns:
        What windows are measured from, and which are due.

    Raises:
        BrokenBundle: The bundle of a model is damaged.
        BrokenLedger: The ledger is damaged, or the live model's past isn't here.
        MlflowException: The registry can't be read.
    """
    for sentence in WindowStore(settings.monitor.folder).set_damaged_aside():
        print(sentence)
    behind = list_lag_alarms(settings, read_shadow_versions(settings.service.state), dt.datetime.now(dt.UTC))
    monitor_pass = begin_monitor_pass(settings, problem, known)
    rows = _select_known_days(count_daily_answers(monitor_pass.index), monitor_pass.now)
    judged = WindowStore(settings.monitor.folder).read()
    late = find_late_labels(settings, monitor_pass.index, judged, rows, monitor_pass.now)
    begins = _list_due_begins(settings, judged, rows, monitor_pass.now, late)
    silence = _find_silence(monitor_pass, rows)
    return monitor_pass, DueWindows(begins, late, rows, monitor_pass.now, silence, monitor_pass.damaged, behind)


def is_latest_window_due(settings: Settings) -> bool:
    """Say whether the last window that is over waits for its verdict, if it has any rows: the log isn't read.

    Args:
        settings: The settings.

    Returns:
        Whether it does; False where there is no log.

    Raises:
        DamagedWindow: A window's record is damaged.
    """
    now = get_flow_time(settings.data.today)
    day = now.date() - dt.timedelta(days=settings.monitor.window_days)
    if not settings.service.predictions.is_dir():
        return False
    judged = WindowStore(settings.monitor.folder).read()
    return bool(_list_due_begins(settings, judged, pl.DataFrame({"day": [day]}), now, {}))


def measure_windows(monitor_pass: MonitorPass, rows: pl.DataFrame, begins: Iterable[dt.date]) -> MeasuredWindows:
    """Measure windows one by one, as they are asked for.

    Args:
        monitor_pass: What is read from.
        rows: The number of rows by day and model.
        begins: The windows' first days.

    Yields:
        The first day of each, and its measures or why there are none.

    Raises:
        BrokenBundle: The bundle of a window's model is damaged.
        MlflowException: The registry can't be read.
    """
    for begin in begins:
        yield begin, measure_window(monitor_pass, rows, begin)


def judge_measured_windows(
    settings: Settings, problem: Problem, due: DueWindows, measured: MeasuredWindows
) -> list[str]:
    """Judge windows in the order of time, while windows are held.

    Args:
        settings: The settings.
        problem: The user's problem.
        due: The windows that were due when the pass began.
        measured: Their measures; of a window that somebody else has judged meanwhile they are of no use.

    Returns:
        What `judge_due_windows` returns.

    Raises:
        BrokenLedger: The ledger is damaged.
    """
    judged = WindowStore(settings.monitor.folder).read()
    new, still_due = list[str](), set(_list_due_begins(settings, judged, due.rows, due.now, due.late))
    for number, (begin, found) in enumerate(measured, 1):
        if begin in still_due:
            outcome = found
            if isinstance(found, MeasuredWindow):
                outcome, said = _judge_window(settings, problem, found, due.late.get(begin, []))
                new += said
            days = format_window_days(begin, begin + dt.timedelta(days=settings.monitor.window_days))
            print(f"{days}: {outcome} ({number} of {len(due.begins)})", flush=True)
    last = due.rows["day"][-1] if due.rows.height else None
    silence = alarms.record_silence(settings, last, due.silence)
    return [*due.damaged, *new, *silence, *alarms.record_archive_failure(settings), *due.behind]


def _select_known_days(rows: pl.DataFrame, now: dt.datetime) -> pl.DataFrame:
    """Select the rows of days until now, and say how many of the others no window will have."""
    end = dt.datetime.now(dt.UTC).date() + MAX_LEAD
    far = rows.filter(~pl.col("day").is_between(FIRST_DAY, end)).sort("day")
    if far.height:
        days = ", ".join(dict.fromkeys(far["day"].cast(pl.String)[[0, -1]]))
        count = format_count(int(far["rows"].sum()), "row is", "rows are")
        print(f"{count} left out, of days before {FIRST_DAY} or after {end} ({days}): did a wrong clock date them?")
    return rows.filter(pl.col("day").is_between(FIRST_DAY, now.date()))


def _list_due_begins(
    settings: Settings,
    judged: Sequence[Window],
    rows: pl.DataFrame,
    now: dt.datetime,
    late: Mapping[dt.date, Sequence[dt.date]],
) -> list[dt.date]:
    """List the first days of the windows to judge.

    Windows lie fixed in the calendar. Those are due that have rows, are over and weren't `judged`, or can be judged
    better now: all of their labels are due, or `late` ones have come.
    """
    length = dt.timedelta(days=settings.monitor.window_days)
    known = {each.begin: each for each in judged}
    begins = sorted({day - (day - EPOCH_DAY) % length for day in rows["day"]})
    over = [begin for begin in begins if begin + length <= now.date()]
    return [
        begin for begin in over if begin not in known or _is_due_again(settings, known[begin], now, late.get(begin, []))
    ]


def _is_due_again(settings: Settings, window: Window, now: dt.datetime, arrived: Sequence[dt.date]) -> bool:
    """Whether a window that was judged can be judged better; one that somebody else has meanwhile awaits less."""
    due = compute_due_time(settings.labels, window.end)
    return window.judged < due <= now or not set(window.awaited).isdisjoint(arrived)


def _find_silence(monitor_pass: MonitorPass, rows: pl.DataFrame) -> list[DataFault]:
    """The fault that rows have stopped arriving, or nothing: where it may be one, the reference of the model that
    answered last says how usual that is."""
    counts, today = sum_rows_by_day(rows), monitor_pass.now.date()
    found = find_staleness_faults(counts, today, UsualArrivals()) if monitor_pass.settings.monitor.on_faults else []
    if found:
        with suppress(UnfitBundle):
            return find_staleness_faults(counts, today, monitor_pass.model(rows["model"][-1]).arrivals)
    return found


def _judge_window(
    settings: Settings, problem: Problem, measured: MeasuredWindow, arrived: Sequence[dt.date]
) -> tuple[str, list[str]]:
    """Judge a window, enter what is new in the ledger, then write the window's record.

    Returns the verdict and the new alarms. A pass that is killed in between judges the window again and enters it once.
    """
    window, entries = measured.window, open_ledger(settings).entries()
    led = alarms.list_retrained_windows(entries)
    has_led = window.begin in led  # judged before without its labels, which change nothing of that
    has_newer_data = has_led or retraining.has_new_data(settings.data, problem, entries)
    others = [end for begin, end in led.items() if begin < window.begin or (begin > window.begin and not has_led)]
    limits = [*window.limits, *describe_late_labels(arrived, window.judged)]
    signals = replace(measured.signals, has_newer_data=has_newer_data, limits=limits)
    verdict = decide_response(signals, window.end, others, settings.monitor)
    window = msgspec.structs.replace(window, verdict=verdict.verdict, reason=verdict.reason, limits=limits)
    store = WindowStore(settings.monitor.folder)
    before = [each for each in store.read() if each.begin < window.begin]
    new = alarms.record_alarm(settings, window, before, measured.data_version)
    store.write(window)
    return window.verdict, new
