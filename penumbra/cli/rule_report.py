"""`make rules`: the business rules, how often each fired, and how many rows wait for people to look at them."""

from collections.abc import Iterator, Sequence

import polars as pl

from penumbra.cli.label_report import format_table
from penumbra.cli.printing import print_report
from penumbra.core.problem import Problem
from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import Settings
from penumbra.logs.queries.rule_counts import RuleCounts, count_rules
from penumbra.rules import Rule


def report_rules(settings: Settings, problem: Problem) -> Iterator[str]:
    """The paragraphs to print."""
    rules = problem.rules.RULES
    fired = count_rules(settings.service.predictions, settings.labels.folder)
    if not settings.rules.apply:
        yield "Rules are off (rules.apply in settings.toml)."
    yield (
        format_table(tabulate_rules(rules, fired))
        if rules
        else "There are no rules: problem/rules.py is where they would stand."
    )
    yield f"Of {fired.predictions:,} predictions in the log, {_format_review(fired)}."
    if fired.fallbacks:
        stood_in = " and ".join(f"{many:,} by the {what}" for what, many in fired.fallbacks.most_common())
        yield f"The live model failed on some records: {stood_in} were answered."


def tabulate_rules(rules: Sequence[Rule], fired: RuleCounts) -> pl.DataFrame:
    """One row a rule, in the order in which they are tried; then those that the log knows and the code no longer."""
    ordered = sorted(rules, key=lambda rule: rule.stage != "before")
    known = [(rule.name, rule.stage, f"when {rule.when.words}: {rule.then.words}") for rule in ordered]
    gone = sorted((fired.rules.keys() | fired.failed.keys()) - {rule.name for rule in rules})
    described = known + [(name, "", "is no rule any more") for name in gone]
    return pl.DataFrame(
        [(*line, fired.rules[line[0]], fired.failed[line[0]]) for line in described],
        schema=["rule", "stage", "what it does", "fired", "failed"],
        orient="row",
    )


def _format_review(fired: RuleCounts) -> str:
    if not fired.reviewed:
        return "none was routed to review"
    routed = f"{fired.reviewed:,} were routed to review"
    if fired.waiting is None:
        return f"{routed} (how many wait is not known: `make labels` brings the index of labels up to date)"
    return f"{routed}, of which {fired.waiting:,} wait for a label"


if __name__ == "__main__":
    print_report(lambda settings: report_rules(settings, load_problem(["rules"])))
