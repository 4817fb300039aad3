"""`make backtest`: policies of retraining side by side over the months after the settings' today, day by day as they
would have gone, without the service: what was served, retrained, promoted and rolled back, and at what cost."""

import sys

import settings
from flows.policies import backtesting, past, standing
from flows.policies.backtesting import STANDARD, Trial


def main() -> None:
    chosen = settings.load()
    history = past.prepare(chosen, chosen.backtest.folder)
    policies = [*backtesting.rivals(), Trial(backtesting.ours(chosen))]
    results = []
    for result in backtesting.run(chosen, history, [*policies, *backtesting.variants(chosen)]):
        results.append(result)
        print(f"{result.name}: {result.loss.value:.4f}", file=sys.stderr, flush=True)
    shown, others = results[: len(policies)], results[len(policies) :]
    standard = next(result for result in shown if result.name == STANDARD)
    print(standing.title(standard, history.first))
    print(standing.table(shown, standard))
    print("\nOurs with other settings, and other lengths of what is learnt from")
    print(standing.table(others, standard))
    print()
    print(standing.advice(results, standard, chosen))
    print(f"\nThe picture: {standing.draw(shown, standard, history.first, chosen.backtest.folder)}")
    print(standing.machine(shown))


if __name__ == "__main__":
    main()
