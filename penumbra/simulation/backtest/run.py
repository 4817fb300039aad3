"""`penumbra backtest`: retraining policies side by side over the months after the settings' today, without the service.

Prints what each served, retrained, promoted and rolled back, and at what cost.
"""

import sys
from collections.abc import Iterator, Sequence

from penumbra.core.loading.project_loading import load_project
from penumbra.core.metrics.losses import name_compared_loss
from penumbra.core.problem import ProblemError
from penumbra.core.settings import Settings, SettingsError
from penumbra.core.text.tables import format_number
from penumbra.data.source_reader import BatchRefused, SourceFailed
from penumbra.simulation.backtest import report, trials
from penumbra.simulation.backtest.prepared_data import BacktestData, BacktestRefused, prepare_backtest_data
from penumbra.simulation.backtest.trials import BASELINE_POLICY, UNTRAINED_POLICY, PolicyResult, PolicyTrial

REQUIRED_POLICIES = (BASELINE_POLICY, UNTRAINED_POLICY)


RUN_ERRORS = (SettingsError, ProblemError, SourceFailed, BatchRefused, BacktestRefused)


def main() -> None:
    """Run the trials and print tables, advice and figures.

    Raises:
        SettingsError: A setting is wrong.
        ProblemError: A file of problem/ is wrong.
        SourceFailed: The source can't be read.
        BatchRefused: A batch of the source breaks the contract.
        BacktestRefused: There are too few days, or a model that all others are compared with can't be fitted.
    """
    settings, problem = load_project()
    history = prepare_backtest_data(settings, problem, settings.backtest.folder)
    policies = [*trials.list_rival_trials(), PolicyTrial(trials.build_configured_policy(settings))]
    results = list(run_trials(settings, history, [*policies, *trials.list_variant_trials(settings)]))
    rivals = {trial.policy.name for trial in policies}
    shown, others = ([r for r in results if (r.name in rivals) == is_rival] for is_rival in (True, False))
    standard = next(result for result in shown if result.name == BASELINE_POLICY)
    loss = name_compared_loss(history.matrices.task, settings.promotion.loss)
    print(report.format_backtest_title(standard, history.first))
    print(report.format_result_table(shown, standard, loss))
    print("\nOurs with other settings, and other lengths of what is learnt from")
    print(report.format_result_table(others, standard, loss))
    print()
    if equal := report.describe_equal_results(results):
        print(f"{equal}\n")
    print(report.format_advice(results, standard, settings))
    print(f"\nThe picture: {report.write_backtest_picture(shown, standard, history.first, settings.backtest.folder)}")
    print(report.format_results_json(shown, loss))


def run_trials(settings: Settings, history: BacktestData, planned: Sequence[PolicyTrial]) -> Iterator[PolicyResult]:
    """Run trials and print a line for each; one with a model that can't be fitted is left out.

    Args:
        settings: All of them.
        history: The matrices and the days.
        planned: The trials.

    Yields:
        The results.

    Raises:
        BacktestRefused: One that the others are compared with is left out.
    """
    for trial, result in zip(planned, trials.run_backtest(settings, history, planned), strict=True):
        if isinstance(result, PolicyResult):
            print(f"{result.name}: {format_number(result.loss.value)}", file=sys.stderr, flush=True)
            yield result
        elif trial.policy.name in REQUIRED_POLICIES:
            raise result
        else:
            print(f"{result}; it is left out", file=sys.stderr, flush=True)
