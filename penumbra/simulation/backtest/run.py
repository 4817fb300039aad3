"""`penumbra backtest`: retraining policies side by side over the months after the settings' today, without the service.

Prints what each served, retrained, promoted and rolled back, and at what cost.
"""

import sys

from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.simulation.backtest import report, trials
from penumbra.simulation.backtest.history import prepare_backtest_data
from penumbra.simulation.backtest.trials import BASELINE_POLICY, PolicyTrial


def main() -> None:
    settings = load_settings()
    history = prepare_backtest_data(settings, load_problem(), settings.backtest.folder)
    policies = [*trials.list_rival_trials(), PolicyTrial(trials.build_configured_policy(settings))]
    results = []
    for result in trials.run_backtest(settings, history, [*policies, *trials.list_variant_trials(settings)]):
        results.append(result)
        print(f"{result.name}: {result.loss.value:.4f}", file=sys.stderr, flush=True)
    shown, others = results[: len(policies)], results[len(policies) :]
    standard = next(result for result in shown if result.name == BASELINE_POLICY)
    print(report.format_backtest_title(standard, history.first))
    print(report.format_result_table(shown, standard))
    print("\nOurs with other settings, and other lengths of what is learnt from")
    print(report.format_result_table(others, standard))
    print()
    print(report.format_advice(results, standard, settings))
    print(f"\nThe picture: {report.write_backtest_picture(shown, standard, history.first, settings.backtest.folder)}")
    print(report.format_results_json(shown))
