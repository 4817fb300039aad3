"""Commands about people's reviews: reviews, pick-reviews, export-reviews, import-reviews."""

from pathlib import Path

import click

from penumbra.cli.group import (
    EXIT_FINDINGS,
    ProjectCommand,
    as_json_option,
    print_json,
    refuse_on,
    show_progress,
)

file_argument = click.argument(
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=lambda ctx, parameter, value: value.absolute(),
)


@click.command("reviews", cls=ProjectCommand, example="penumbra reviews")
@as_json_option
def show_reviews(as_json: bool) -> None:
    """Show the review queue: what became of the cases, for which reasons they were picked, what waits and how long."""
    from penumbra.cli.reports.decisions import review_report
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.reviews.queue import ReviewQueue

    with refuse_on(SettingsError):
        queue = ReviewQueue.read(load_settings().review.folder)
    if as_json:
        print_json(review_report.describe_queue(queue))
    else:
        click.echo("\n\n".join(review_report.report_queue(queue)))


@click.command("pick-reviews", cls=ProjectCommand, example="penumbra pick-reviews --count 20")
@click.option("--count", type=click.IntRange(min=1), help="How many rows; by default what review.per_day allows.")
def pick_rows(count: int | None) -> None:
    """Pick rows now among those that arrived since rows were picked last."""
    import sqlite3

    from penumbra.cli.reports.decisions import review_report
    from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.reviews.queue import ReviewQueue
    from penumbra.reviews.selection.case_picker import pick_cases
    from penumbra.reviews.selection.degraded_slices import read_degraded_slices

    expected = SettingsError, ProblemError, OSError, sqlite3.Error
    with refuse_on(*expected), show_progress("Picking rows"):
        settings, problem = load_settings(), load_problem(SERVED_PARTS)
        block = pick_cases(settings, problem, count, slices=read_degraded_slices(settings.monitor.folder))
    if block is None:
        queue = ReviewQueue.read(settings.review.folder)
        click.echo(review_report.explain_missing_block(queue, settings.review, count))
    else:
        click.echo(review_report.format_block(block))


@click.command("export-reviews", cls=ProjectCommand, example="penumbra export-reviews reviews.json")
@file_argument
@click.option("--open/--all", "is_open", default=True, show_default=True, help="Only cases that are open, or all.")
def export_cases(file: Path, is_open: bool) -> None:
    """Write cases of the review queue to FILE as tasks of Label Studio.

    The labelling configuration for Label Studio's project is written beside it, with the suffix .xml.
    """
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.reviews.label_studio.tasks import export_tasks

    with refuse_on(SettingsError, ProblemError, OSError), show_progress("Writing the tasks"):
        exported = export_tasks(load_settings(), load_problem(("schema",)), file, not is_open)
    click.echo(f"{exported.count} tasks in {file.name}, the labelling configuration in {exported.configuration.name}")
    if exported.missing:
        click.echo(
            f"without a task, as their rows aren't in the prediction log any more: {', '.join(exported.missing)}"
        )


@click.command("import-reviews", cls=ProjectCommand, example="penumbra import-reviews export.json --map 1=alice")
@file_argument
@click.option("--reviewer", metavar="NAME", default="", help="Who answered, where --map doesn't say it.")
@click.option(
    "--map",
    "names",
    metavar="ANNOTATOR=NAME",
    multiple=True,
    callback=lambda ctx, parameter, value: _split_names(value),
    help="Who an annotator is, by the id or the address in Label Studio; may be given several times.",
)
def import_annotations(file: Path, reviewer: str, names: dict[str, str]) -> None:
    """Record the answers in FILE, an export of Label Studio in its format JSON.

    An annotation counts once, however often it is imported; one that was changed in Label Studio since replaces what
    it said before. Those that can't be recorded are named with the reason, and the exit code is 3.
    """
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.reviews.answer_checks import ReviewRefused
    from penumbra.reviews.label_studio.annotations import ReviewerNames
    from penumbra.reviews.label_studio.answers import import_answers

    with refuse_on(SettingsError, ProblemError, ReviewRefused, OSError), show_progress("Recording the answers"):
        imported = import_answers(load_settings(), load_problem(("schema",)), file, ReviewerNames(names, reviewer))
    for refused in imported.refused:
        click.echo(f"{file.name}, {refused}", err=True)
    if imported.ignored:
        click.echo(f"not the labelling configuration's, so ignored: {', '.join(imported.ignored)}", err=True)
    click.echo(str(imported))
    if imported.refused:
        raise click.exceptions.Exit(EXIT_FINDINGS)


def _split_names(given: tuple[str, ...]) -> dict[str, str]:
    for each in given:
        if not all(each.partition("=")):
            raise click.BadParameter(f"{each!r}: expected ANNOTATOR=NAME, such as 1=alice")
    return {annotator: name for annotator, _, name in (each.rpartition("=") for each in given)}


COMMANDS = (show_reviews, pick_rows, export_cases, import_annotations)
