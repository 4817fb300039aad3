"""Commands about answering: serve, score, bento, image, explain, labels, rules, blocked, shadow."""

import os
from typing import Any

import click

from penumbra.cli.group import ProjectCommand, as_json_option, print_json, refuse_on, show_progress


@click.command("serve", cls=ProjectCommand, example="PENUMBRA_SERVICE__PORT=8080 penumbra serve")
def serve_predictions() -> None:
    """Answer POST /predict with the live model, on 127.0.0.1:3000 unless set otherwise; Ctrl-C ends it.

    Starts the service and the processes beside it: deployer, indexer, archiver, shadow.
    """
    from service.processes.workers import head_start

    waiting = head_start.start_ahead()
    from service.processes.workers import launcher

    launcher.main(waiting)


@click.command("bento", cls=ProjectCommand, example='docker build -f deploy/Dockerfile "$(penumbra bento)"')
@as_json_option
def print_bento_folder(as_json: bool) -> None:
    """Build the service with its models as one bento, and print its folder.

    The bento starts without a registry.
    """
    from deploy.bento import BentoNotBuilt, build_bento
    from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.registry.bundles.manifest import BrokenBundle
    from penumbra.registry.errors import MlflowException
    from penumbra.registry.models import ModelRegistry

    with (
        refuse_on(MlflowException, prefix="the registry can't give the model: "),
        refuse_on(SettingsError, ProblemError, BentoNotBuilt, BrokenBundle),
        show_progress("Building the bento"),
    ):
        settings = load_settings()
        folder = build_bento(settings, ModelRegistry(settings.registry), load_problem(SERVED_PARTS))
    if as_json:
        print_json({"folder": folder})
    else:
        click.echo(folder)


@click.command("image", cls=ProjectCommand, example='docker build -f deploy/cluster.Dockerfile "$(penumbra image)"')
@as_json_option
def print_image_folder(as_json: bool) -> None:
    """Collect what the image for a cluster consists of, as it was committed, and print the folder.

    One image for flows, service, MLflow's server and dashboard. The revision of the code is part of it.
    """
    from deploy.image import ImageNotStaged, stage_image_context
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError, ImageNotStaged):
        folder = stage_image_context(load_settings())
    if as_json:
        print_json({"folder": folder})
    else:
        click.echo(folder)


@click.command("explain", cls=ProjectCommand, example="penumbra explain 18a2b3c4d5e6f7a8b-1024")
@click.argument("prediction_id", metavar="ID")
@as_json_option
def explain_answer(prediction_id: str, as_json: bool) -> None:
    """Show why an answer is as it is, and where it came from, back to the raw batches.

    ID is the answer's prediction_id. The chain: prediction, what each feature did to the score, model version, MLflow
    run, settings, revision, data version, raw batches; with the prediction's label.
    """
    from penumbra.cli.reports.serving.lineage_report import describe_flywheel_batches, format_lineage
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.registry.bundles.explanations import explain_logged_answer
    from penumbra.registry.bundles.fetching import AbsentBundle, fetch_absent_bundle
    from penumbra.registry.lineage import UnknownPrediction
    from penumbra.reviews.case_lineage import explain_reviewed_prediction

    with refuse_on(UnknownPrediction, SettingsError, ProblemError):
        settings, absence = load_settings(), None
        facts = explain_reviewed_prediction(settings, prediction_id)
        if "problem" in facts["model"]:
            try:
                fetch_absent_bundle(settings, facts["model"]["version"])
                facts = explain_reviewed_prediction(settings, prediction_id)
            except AbsentBundle as reason:
                absence = {"problem": str(reason)}
        problem = load_problem(["schema", "features"])
    if absence:
        facts["model"] |= absence
    else:
        facts["explanation"] = explain_logged_answer(settings.service.state, problem, facts["prediction"])
    if as_json:
        return print_json(facts)
    flywheel = describe_flywheel_batches(settings.data.folder, facts["model"].get("batches", []))
    click.echo(format_lineage({**facts, "settings": settings.describe_sections(), "flywheel": flywheel}))


@click.command("labels", cls=ProjectCommand, example="penumbra labels")
@as_json_option
def show_labels(as_json: bool) -> None:
    """Show which predictions have their labels, after how long, and what became of every label."""
    from penumbra.cli.reports.serving import label_report
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError, ProblemError), show_progress("Bringing the index of labels up to date"):
        counts = label_report.collect_label_counts(load_settings(), load_problem(["schema"]))
    if as_json:
        print_json(counts.to_json())
    else:
        click.echo("\n\n".join(label_report.format_label_counts(counts)))


@click.command("rules", cls=ProjectCommand, example="penumbra rules --json")
@as_json_option
def show_rules(as_json: bool) -> None:
    """Show the business rules, how often each fired, and how many rows wait for review."""
    from penumbra.cli.reports.serving import rule_report
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.logs.indexing.index import LogIndex

    with refuse_on(SettingsError, ProblemError), show_progress("Fetching the logs of all replicas"):
        settings, rules = load_settings(), load_problem(["rules"]).rules.RULES
        if settings.cluster.state:
            LogIndex.of_all_replicas(settings, load_problem(["schema"]).schema)
    if as_json:
        print_json(rule_report.collect_rule_counts(settings, rules))
    else:
        click.echo("\n\n".join(rule_report.report_rules(settings, rules)))


@click.command("blocked", cls=ProjectCommand, example="penumbra blocked --release 4253a10f")
@click.option("--add", "text", metavar="JSON", help="Block this record for the live version.")
@click.option("--release", "digest", metavar="DIGEST", help="Let the record be scored again.")
@as_json_option
def manage_blocked_records(text: str | None, digest: str | None, as_json: bool) -> None:
    """Show the records that are blocked because they ended a worker; block one more, or release one.

    The previous model answers them, or else the baseline. Suspects, of whose call it isn't known which record ended a
    worker, are scored alone until they have an answer. A running service follows within a second.
    """
    from penumbra.cli.reports.serving import blocked_report
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.core.problem import ProblemError
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError, ProblemError, blocked_report.BlockingRefused, OSError):
        service = load_settings().service
        if text is not None:
            blocked_report.block_record(service, load_problem(["schema"]).schema, text)
        if digest is not None:
            blocked_report.release_record(service, digest)
        blocked = blocked_report.list_blocked_records(service)
    if as_json:
        print_json(blocked_report.describe_blocked_records(blocked))
    else:
        click.echo(blocked_report.format_blocked_records(blocked))


@click.command("shadow", cls=ProjectCommand, example="penumbra shadow")
@as_json_option
def show_shadow(as_json: bool) -> None:
    """Show who is in the shadow, how much of the traffic each has answered, and how far it agrees with live."""
    from penumbra.cli.reports.serving import shadow_report
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError):
        settings = load_settings()
    if as_json:
        print_json(shadow_report.collect_shadow_roles(settings))
    else:
        click.echo("\n\n".join(shadow_report.report_shadow(settings)))


@click.command("score", cls=ProjectCommand, example="penumbra score 'orders/*.csv' --out answers/")
@click.argument("source", metavar="[INPUT]", default="")
@click.option("--out", "output", metavar="OUTPUT", default="", help="A file (.csv, .parquet) or a folder; path or URL.")
@click.option("--database", metavar="URL", default="", help="The database of a query; DuckDB over files by default.")
@click.option("--separator", help="The character between the values of CSV files; the source's by default.")
@click.option("--quote", help='The character around values, "" for none; the source\'s by default.')
@click.option("--encoding", help="The encoding of CSV files; the source's by default.")
@click.option("--null", "null_words", multiple=True, help="One more text that stands for a missing value; repeatable.")
@click.option("--processes", type=click.IntRange(1), help="Processes that score side by side; one a core by default.")
@click.option("--explain", is_flag=True, help="Also why: how far each feature has moved the model's score.")
@click.option("--uncertainty", is_flag=True, help="Also how sure: the classes or the interval that hold the truth.")
@click.option("--again", is_flag=True, help="Score tables anew that are done and haven't changed.")
@as_json_option
def score_rows(source: str, output: str, database: str, processes: int | None, as_json: bool, **reading: Any) -> None:
    """Answer the rows of tables with the live model, its rules and its contract, as the service does.

    INPUT is a file, a folder, a pattern or a URL of CSV or Parquet files, or a query; score.input of settings by
    default. Tables are read as SOURCE of problem/source.py reads its own. Answers are logged, so that the shadow
    follows, labels join and the monitor judges. What was stopped goes on; rows without an answer are beside OUTPUT,
    with their reasons.
    """
    from flows.steps.score.replaced_processes import replace_ended
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError):
        settings = load_settings()
    attempt = replace_ended(settings.service.state)

    from flows.steps.score import receipts
    from flows.steps.score.parts.part_scoring import SCORED_PARTS
    from flows.steps.score.score_order import make_order
    from flows.steps.score.scoring import SCORE_ERRORS
    from penumbra.cli.reports.serving.score_report import score_with_progress
    from penumbra.core.loading.project_loading import load_fitting_problem
    from penumbra.registry.tracking.lazy_errors import handle_registry_errors

    with handle_registry_errors(refuse_on), refuse_on(*SCORE_ERRORS):
        problem = load_fitting_problem(settings, SCORED_PARTS)
        order = make_order(settings.score, source, output, database, problem, **reading)
        scored, refused = score_with_progress(settings, problem, order, processes or os.cpu_count() or 1, attempt)
    if as_json:
        print_json(receipts.describe_receipts(scored))
    elif scored:
        click.echo("\n".join(receipts.format_receipts(scored, problem.schema)))
    with refuse_on(*SCORE_ERRORS, receipts.NothingAnswered):
        receipts.require_all_scored(refused)
        receipts.require_answers(scored)


COMMANDS = (
    serve_predictions,
    score_rows,
    print_bento_folder,
    print_image_folder,
    explain_answer,
    show_labels,
    show_rules,
    manage_blocked_records,
    show_shadow,
)
