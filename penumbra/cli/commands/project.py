"""Commands about the project itself: settings, bench, docs, sbom, audit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penumbra.cli.group import EXIT_FINDINGS, ProjectCommand, Refusal, as_json_option, print_json, refuse_on
from penumbra.cli.processes import describe_exit, run_command

if TYPE_CHECKING:
    from deploy.advisories import Advisory

BENCHMARKS = {
    "alarms": "how often nothing raises an alarm, how soon drift does, which data faults are found",
    "attributions": "records a second with their explanations, one by one, in lists and in frames",
    "backtest": "a backtest's processor time beside that of its fits",
    "cli": "how long help and light commands take, beside starting Python",
    "client": "what lists cost as JSON and as Arrow, on both sides, and what an idempotency key costs",
    "cluster": "what it costs that machines share their state, pods beside one machine, what faults lose",
    "estimate": "the error of the loss estimated without labels, on the example and on made shifts of inputs",
    "explanations": "whether the parts of a loss's rise are what was put into made worlds, and intervals hold them",
    "few-rows": "which data faults are found where a day has few rows, how soon, and how many are false",
    "faults": "kills, flipped bytes, hostile peers and load by the hundred: what is lost, doubled or undetected",
    "footprint": "the memory of a worker, and how long the service takes until it is ready",
    "flywheel": "what labels of people are worth, by how their rows are picked, and whether error rates are held",
    "growth": "processor time a row and memory of each stage with 80 thousand to 100 million rows, beside others",
    "ingest": "ingest beside plain polars; one more batch after 10, 100 and 1,000",
    "monitor": "counting, archiving and indexing a million answers, windows, reports and a pass, beside Evidently",
    "number-losses": "false promotions, alarms and passes of the gate where errors of numbers have heavy tails",
    "own-data": "the whole loop on eight problems that aren't the example: what passes, and how long it takes",
    "patterns": "each pattern of problem/candidates.py beside its plain counterpart, month by month",
    "promotion": "how often equal models are promoted, how soon better ones, how soon broken ones stop",
    "refit-losses": "how often losses of refitted models alarm where nothing changes and tails are heavy",
    "refits": "how often predictions of refitted models are drift where nothing drifts, beside another comparison",
    "replay": "the replay of 14 days; with YEAR=1 of all later months, too",
    "score": "batch scoring beside the model's prediction alone, its memory, and with reasons",
    "serve": "POST /predict beside other servers, with the shadow on and off, with faulty candidates, swapped",
    "slices": "seconds and memory of the search for the worst slices, with thousands of values",
    "start": "from a fresh clone to the first prediction, and another `make train` with nothing new",
    "template": "what a person edits for data of their own, and the time from nothing to the first prediction",
    "tests": "`make test` and `make test-all`",
    "train": "the training flow beside a plain script doing the same fits",
    "uncertainty": "how often prediction sets and intervals hold the truth on later months, by method, and their size",
    "workers": "what a second worker adds, and lists beside scoring their frame directly, by processor time",
}
AIMED = (  # all that have aims, and the comparison with other servers
    "train",
    "serve",
    "footprint",
    "workers",
    "score",
    "ingest",
    "monitor",
    "start",
    "replay",
    "backtest",
    "growth",
    "tests",
)
MEASURED_FILE = "docs/measured.json"
ONE_THREAD = (  # they do their work on one core
    *(
        "alarms",
        "estimate",
        "explanations",
        "few-rows",
        "flywheel",
        "monitor",
        "number-losses",
        "promotion",
        "refit-losses",
        "refits",
        "slices",
        "uncertainty",
    ),
)
DEVELOPMENT_READY = ".venv/development"
APART_READY = {
    "serve": ".venv-mlflow/ready",
    "alarms": ".venv-series/ready",
    "promotion": ".venv-series/ready",
}  # what a benchmark needs apart


@click.command("settings", cls=ProjectCommand, example="PENUMBRA_SERVICE__PORT=8080 penumbra settings --json")
@as_json_option
def show_settings(as_json: bool) -> None:
    """Show every setting with its value, and whether that comes from settings.toml or the environment."""
    from penumbra.cli.reports.settings_report import format_settings, list_settings
    from penumbra.core.settings import SettingsError

    with refuse_on(SettingsError):
        settings = list_settings()
    if as_json:
        print_json({name: {"value": value, "source": source} for name, value, source in settings})
    else:
        click.echo(format_settings(settings))


@click.command(
    "bench",
    cls=ProjectCommand,
    example="penumbra bench train ingest --json",
    help="Measure something of the project; the last line is one JSON document. What needs rows takes those of the "
    "shipped example, whatever problem/ is.\n\n\b\n"
    + "\n".join(f"{name:<15}{measured}" for name, measured in BENCHMARKS.items())
    + f"\n\nall: one after the other {', '.join(AIMED)}.",
)
@click.argument("names", nargs=-1, required=True, type=click.Choice([*BENCHMARKS, "all"]))
@click.option(
    "--json",
    "file",
    is_flag=False,
    flag_value=MEASURED_FILE,
    metavar="[FILE]",
    help=f"Enter the figures into a file, beside older ones. Without FILE: {MEASURED_FILE}, and its page is filled.",
)
def run_benchmarks(names: tuple[str, ...], file: str | None) -> None:
    """Run benchmarks one after the other, each in a process of its own.

    Args:
        names: Some of `BENCHMARKS`, or "all" for those that have aims.
        file: The file that their figures are entered into; None for none.

    Raises:
        Refusal: A benchmark failed, after all others, or the project has none.
    """
    if not Path("benchmarks").exists():
        raise Refusal("there is no folder benchmarks/: it comes with the engine's tests (docs/template.md)")
    _require_environment(DEVELOPMENT_READY)
    chosen = AIMED if "all" in names else names
    codes = {name: _run_benchmark(name, *([file] if file else [])) for name in chosen}
    if failed := [describe_exit(f"the benchmark {name}", code) for name, code in codes.items() if code]:
        raise Refusal("; ".join(failed))


def _run_benchmark(name: str, *file: str) -> int:
    if name in APART_READY:
        _require_environment(APART_READY[name])
    environment = {"OMP_NUM_THREADS": "1"} if name in ONE_THREAD else {}
    return run_command(sys.executable, "-m", "benchmarks", name.replace("-", "_"), *file, environment=environment)


@click.command("docs", cls=ProjectCommand, example="penumbra docs")
def build_site() -> None:
    """Build the documentation as a site that works offline; any warning is an error."""
    _require_environment(DEVELOPMENT_READY)
    if code := run_command(sys.executable, "-m", "docs.build"):
        raise Refusal(describe_exit("the build of the documentation", code))


@click.command("sbom", cls=ProjectCommand, example="penumbra sbom")
def print_sbom() -> None:
    """Print what the serving image consists of, as a bill of materials in CycloneDX JSON.

    `penumbra bento` writes the same, with the models, to sbom.cdx.json in the bento.
    """
    from deploy.sbom import build_sbom
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError):
        print_json(build_sbom(load_settings().registry.model))


@click.command("audit", cls=ProjectCommand, example="penumbra audit --accept PYSEC-2026-1")
@click.option("--accept", multiple=True, help="An advisory that is known and no fault here; may be repeated.")
@as_json_option
@click.pass_context
def audit_locks(ctx: click.Context, accept: tuple[str, ...], as_json: bool) -> None:
    """Ask a database of advisories for known vulnerabilities of what the locks pin.

    It needs the network, and tells the database names and versions. Exit code 3 if there is one.
    """
    from dataclasses import asdict

    from deploy.advisories import AuditFailed, find_advisories

    _require_environment(DEVELOPMENT_READY)
    with refuse_on(AuditFailed, prefix="nothing was audited: "):
        found = find_advisories(accept)
    if as_json:
        print_json([asdict(advisory) for advisory in found])
    else:
        click.echo("\n".join(map(_describe_advisory, found)) or "No advisory is known of what the locks pin.")
    ctx.exit(EXIT_FINDINGS if found else 0)


def _describe_advisory(advisory: "Advisory") -> str:
    remedy = f"mended in {', '.join(advisory.fixed_in)}" if advisory.fixed_in else "no version mends it yet"
    return f"{advisory.name} {advisory.version}: {advisory.identifier}, {remedy}"


def _require_environment(ready: str) -> None:
    """Set up an environment by the Makefile's rule, unless it is there. Raises Refusal if that fails."""
    if not Path(ready).exists() and run_command("make", "--no-print-directory", ready):
        raise Refusal(f"{ready} could not be made: `make {ready}` says why")


COMMANDS = (show_settings, run_benchmarks, build_site, print_sbom, audit_locks)
