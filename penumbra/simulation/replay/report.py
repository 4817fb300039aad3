"""The report of a replay: a line as it goes, then a page with its picture, a table, and a line of JSON."""

import datetime as dt
import html
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monitoring.windows.window_store import WindowStore
from penumbra.core.metrics.loss_names import describe_loss_name
from penumbra.core.metrics.losses import name_compared_loss
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.core.task import Task, TaskKind
from penumbra.core.text.tables import align_columns, format_number
from penumbra.simulation.replay.review_report import build_review_table, compute_review_figures, describe_reviews
from penumbra.training.evaluation import charts

ReplaySteps = Sequence[dict[str, Any]]
REPORT_FILE, PICTURE_FILE = "report.html", "replay.svg"
BAR_WIDTH = 30
NO_FAULT = "none, as no column could be altered within the contract on the days for it"
ONE_DAY = dt.timedelta(days=1)
VERDICT_COLOURS = {
    "promote": "#2e7d32",
    "retrain": "#1565c0",
    "investigate": "#f9a825",
    "reject": "#c62828",
    "rollback": "#6a1b9a",
}


def print_progress(steps: ReplaySteps, days: int) -> None:
    """Print the day that is done, and what was decided on it; on a terminal each line replaces the one before.

    Args:
        steps: The days that are done, at least one.
        days: How many days there are in all.
    """
    done, last = len(steps), steps[-1]
    filled = BAR_WIDTH * done // days
    bar = "█" * filled + "·" * (BAR_WIDTH - filled)
    loss, never = (format_number(mean) for mean in compute_mean_losses(steps[-7:]))
    line = f"{bar} {last['day']}  version {last['version']}  loss of the last days {loss}, of version 1 {never}"
    news = [f"{last['day']}  {text}" for text in describe_decisions(last)]
    clear = "\r\x1b[K" if sys.stdout.isatty() else ""
    for text in news:
        print(clear + text)
    if sys.stdout.isatty():
        print(clear + line, end="", flush=True)
    elif done % 7 == 0 or done == days:
        print(line, flush=True)


def describe_decisions(step: dict[str, Any]) -> Iterator[str]:
    """Describe what was decided on a day.

    Args:
        step: The day, as `DayLoop.run_day` returns it.

    Yields:
        A sentence for the fault and the saboteur of the day, and for each entry of the ledger, but for those that
        nothing followed from.
    """
    if step["fault"]:
        yield f"injected: {step['fault']}"
    if step["sabotaged"]:
        yield f"injected: version {step['sabotaged']}, which predicts the opposite of the live model"
    for entry in step["entries"]:
        if entry["verdict"] not in ("keep collecting", "ok"):
            yield f"{entry['kind']}: {entry['verdict']} {_format_versions(entry)}: {_shorten(entry['reason'])}"


def compute_mean_losses(steps: ReplaySteps) -> tuple[float, float]:
    """Compute the mean losses of all rows with a label.

    Args:
        steps: Days.

    Returns:
        The loss as served, and that of the first version on the same rows; NaN without a label.
    """
    labels = sum(step["labels"] for step in steps) or math.nan
    return sum(step["loss"] for step in steps) / labels, sum(step["never"] for step in steps) / labels


def write_replay_report(settings: Settings, steps: ReplaySteps, task: Task, label_days: int, folder: Path) -> str:
    """Write the report and its picture.

    Args:
        settings: Sections [monitor] (`folder`) and [promotion] (`loss`) are read.
        steps: The days as they were played.
        task: The task.
        label_days: How many days after a row its outcome arrives.
        folder: Where the report is written.

    Returns:
        What is printed at the end: a table, what was injected and noticed, what people answered, the report's path, and
        the figures as a line of JSON.
    """
    from vl_convert import svg_to_png, vegalite_to_svg

    loss = name_compared_loss(task, settings.promotion.loss)
    spec = build_replay_picture(steps, loss)
    svg = vegalite_to_svg(spec)
    (folder / PICTURE_FILE).write_text(svg)
    (folder / PICTURE_FILE).with_suffix(".png").write_bytes(svg_to_png(svg, scale=2))
    facts = compute_replay_figures(settings, steps, loss) | compute_review_figures(steps, task.kind)
    table, injected = format_version_table(steps), describe_injections(steps, facts)
    reviews = "\n".join(describe_reviews(steps, task.kind, label_days))
    page = build_replay_page(svg, f"{table}\n\n{injected}", reviews, facts, steps, task.kind)
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")
    where = folder / REPORT_FILE
    shown = where.relative_to(PROJECT_ROOT) if where.is_relative_to(PROJECT_ROOT) else where
    return f"\n{table}\n\n{injected}\n{reviews}\nThe report: {shown}\n{json.dumps(facts)}"


def compute_replay_figures(settings: Settings, steps: ReplaySteps, loss: str) -> dict[str, Any]:
    """Compute the figures of a replay.

    Args:
        settings: Section [monitor] (`folder`) is read.
        steps: The days as they were played. The fault counts as noticed if the monitor found one of its columns, or of
            the rows as a whole, on one of its days, or on days that were judged together with it.
        loss: The name of the loss, such as "log_loss".

    Returns:
        Plain JSON: `fault_noticed` is None where no fault was injected, a loss where no row has a label.
    """
    entries = [entry for step in steps for entry in step["entries"]]
    sabotaged = {step["sabotaged"] for step in steps if step["sabotaged"]}
    promoted = [entry for entry in entries if entry["kind"] == "promotion"]
    injected = {(step["day"], column) for step in steps if step["fault"] for column in (*step["columns"], "")}
    faults = [fault for window in WindowStore(settings.monitor.folder).read() for fault in window.faults]
    found = {(str(f.day + number * ONE_DAY), f.column) for f in faults for number in range(f.days)}
    served, never = (None if math.isnan(mean) else round(mean, 5) for mean in compute_mean_losses(steps))
    return {
        "days": len(steps),
        "fault_noticed": bool(injected & found) if injected else None,
        "sabotage_promoted": any(entry["versions"]["live"] in sabotaged for entry in promoted),
        f"served_{loss}": served,
        f"never_{loss}": never,
        "promotions": len(promoted),
        "rollbacks": sum(entry["kind"] == "rollback" for entry in entries),
    }


def describe_injections(steps: ReplaySteps, facts: dict[str, Any]) -> str:
    """Describe what was injected and whether it was noticed.

    Args:
        steps: The days as they were played.
        facts: The figures.

    Returns:
        A sentence about the fault and one about the saboteur.
    """
    faulty = [step for step in steps if step["fault"]]
    days = " to ".join(dict.fromkeys((faulty[0]["day"], faulty[-1]["day"]))) if faulty else ""
    fault = f"{days}: {faulty[0]['fault']}" if faulty else NO_FAULT
    noticed = {True: "; the monitor noticed", False: "; the monitor found no data fault then", None: ""}[
        facts["fault_noticed"]
    ]
    saboteurs = ", ".join(step["sabotaged"] for step in steps if step["sabotaged"])
    fate = "was promoted" if facts["sabotage_promoted"] else "was never promoted"
    return f"The fault: {fault}{noticed}.\nThe saboteur: version {saboteurs} {fate}."


def format_version_table(steps: ReplaySteps) -> str:
    """Format the table of live versions.

    Args:
        steps: The days as they were played.

    Returns:
        A line for each stretch of days on which one version was live, and one for all days.
    """
    lines = [["version", "from", "to", "days", "rows", "loss", "version 1"]]
    lines += [_format_version_cells(str(stretch[0]["version"]), stretch) for stretch in group_by_version(steps)]
    return align_columns([*lines, _format_version_cells("all", steps)], left=(True, True, True))


def group_by_version(steps: ReplaySteps) -> list[list[dict[str, Any]]]:
    """Group `steps` into stretches of days on which the same version was live; returns the stretches in order."""
    stretches: list[list[dict[str, Any]]] = []
    for step in steps:
        if not stretches or stretches[-1][-1]["version"] != step["version"]:
            stretches.append([])
        stretches[-1].append(step)
    return stretches


def _format_version_cells(name: str, steps: ReplaySteps) -> list[str]:
    rows, days = sum(step["rows"] for step in steps), [steps[0]["day"], steps[-1]["day"]]
    return [name, *days, str(len(steps)), f"{rows:,}", *map(format_number, compute_mean_losses(steps))]


def build_replay_picture(steps: ReplaySteps, loss: str) -> charts.VegaLiteSpec:
    """Build the picture of a replay: losses over time with every verdict, and below the version that answered.

    Args:
        steps: The days as they were played; more than four weeks are shown by week.
        loss: The name of the loss, such as "log_loss".

    Returns:
        A Vega-Lite specification.
    """
    span = 7 if len(steps) > 28 else 1
    points = [
        {"model": name, "date": part[-1]["day"], "value": value}
        for part in (steps[begin : begin + span] for begin in range(0, len(steps), span))
        for name, value in zip(("served", "never retrained"), compute_mean_losses(part), strict=True)
        if not math.isnan(value)
    ]
    marks = [
        {
            "date": step["day"],
            "verdict": _decision_kind(entry),
            "text": f"{_decision_kind(entry)} {_format_versions(entry)}: {entry['reason']}",
        }
        for step in steps
        for entry in step["entries"]
        if _decision_kind(entry) in VERDICT_COLOURS
    ]
    bars = [
        {"model": f"version {r[0]['version']}", "begin": r[0]["day"], "end": _next_day(r[-1]["day"])}
        for r in group_by_version(steps)
    ]
    title, every = describe_loss_name(loss), "a week's mean" if span == 7 else "a day's mean"
    return charts.build_model_history_chart(
        f"{title[0].upper()}{title[1:]} a row ({every}), and what was decided", points, marks, bars, VERDICT_COLOURS
    )


def build_replay_page(
    svg: str, table: str, reviews: str, facts: dict[str, Any], steps: ReplaySteps, kind: TaskKind
) -> str:
    """Build the HTML page of a replay, which needs no other file.

    Args:
        svg: The picture.
        table: The table of live versions.
        reviews: What is said of reviews.
        facts: The figures.
        steps: The days as they were played.
        kind: The task's kind.

    Returns:
        The page.
    """
    rows = "\n".join(
        f"<tr><td>{step['day']}</td><td>{html.escape(text)}</td></tr>"
        for step in steps
        for text in describe_decisions(step)
    )
    figures = "\n".join(f"<tr><td>{name}</td><td>{html.escape(str(value))}</td></tr>" for name, value in facts.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Replay</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ white-space: pre-wrap }}
td, th {{ padding: 0 1rem 0 0; vertical-align: top; text-align: left }} td:first-child {{ white-space: nowrap }}
svg {{ max-width: 100%; height: auto }}
</style></head><body>
<h1>{steps[0]["day"]} to {steps[-1]["day"]}, day by day through the loop</h1>
{svg}
<h2>Each model's reign</h2><pre>{html.escape(table)}</pre>
<h2>What was decided</h2><table>{rows}</table>
<h2>What people answered</h2><pre>{html.escape(reviews)}</pre>
{build_review_table(steps, kind)}
<h2>In figures</h2><table>{figures}</table>
</body></html>
"""


def _decision_kind(entry: dict[str, Any]) -> str:
    return str(entry["kind"] if entry["kind"] in VERDICT_COLOURS else entry["verdict"])


def _format_versions(entry: dict[str, Any]) -> str:
    named = ", ".join(f"{role} {version}" for role, version in entry["versions"].items())
    return f"({named})" if named else ""


def _shorten(text: str) -> str:
    return text if len(text) <= 160 else text[:157] + "..."


def _next_day(day: str) -> str:
    return str(dt.date.fromisoformat(day) + dt.timedelta(days=1))
