"""The scores of the models of a trial on the same rows, with intervals over days, beside the live model's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flows.steps.train.gate_evaluation import GateOutcome
from flows.steps.train.held_out import HeldOutPart, measure_gate_ceiling
from flows.steps.train.matrices import Matrices
from flows.steps.train.plan import TrainingPlan
from penumbra.core.columns import DAY_COLUMN
from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.settings import Settings
from penumbra.training.evaluation import bootstrap, metric_intervals
from penumbra.training.evaluation.bootstrap import Interval
from penumbra.training.evaluation.evaluate import Trial
from penumbra.training.gate.gate_comparisons import to_two_sided_confidence

JUDGED_PART: HeldOutPart = "validation"
BASELINE, LIVE = "baseline", "live"


@dataclass(frozen=True)
class ScoredModel:
    """A model on the judged rows.

    Args:
        name: The candidate's name, "live" or "baseline".
        scores: Its scores by metric with their intervals, the loss first; the live model's are of the rows that it has
            predictions of.
        difference: Its mean loss less the live model's on the rows that both have, None where there are none.
    """

    name: str
    scores: dict[str, Interval]
    difference: Interval | None = None


def score_models(
    settings: Settings, plan: TrainingPlan, matrices: Matrices, trials: Sequence[Trial], gate: GateOutcome
) -> list[ScoredModel]:
    """Score the models of a trial.

    Args:
        settings: Sections [gate] (`confidence`) and [promotion] (`loss_ceiling`) are read.
        plan: The plan of the run.
        matrices: The matrices of the run, with the predictions of candidates and baseline.
        trials: The candidates' trials, the lowest loss first.
        gate: What the gate was computed from: days, and the live model's predictions.

    Returns:
        The candidates in their order, the live model where it has predictions, and the baseline.
    """
    judged = _JudgedRows(settings, plan, matrices, gate)
    models = [judged.score_model(trial.candidate, str(trial.job)) for trial in trials]
    return [*models, *judged.score_live_model(), judged.score_model(BASELINE, BASELINE)]


class _JudgedRows:
    """The judged rows: labels, days, and the live model's predictions of some of them."""

    def __init__(self, settings: Settings, plan: TrainingPlan, matrices: Matrices, gate: GateOutcome) -> None:
        self.matrices, self.live, batches = matrices, gate.live, plan.split.validation
        self.labels, self.days = matrices.read_evaluation_set(batches)[1], gate.rows[DAY_COLUMN].to_numpy()
        self.known = gate.live.known if gate.live else np.zeros(len(self.labels), bool)
        self.ceiling = measure_gate_ceiling(settings.promotion, matrices, batches, gate.live)
        self.confidence = to_two_sided_confidence(settings.gate.confidence)

    def score_model(self, name: str, array: str) -> ScoredModel:
        predictions = self.matrices.arrays.read(f"{JUDGED_PART}-{array}")
        return ScoredModel(name, self._score(predictions, slice(None)), self._compare_with_live(predictions))

    def score_live_model(self) -> list[ScoredModel]:
        if self.live is None or not self.known.any():
            return []
        return [ScoredModel(LIVE, self._score(self.live.predictions, self.known))]

    def _score(self, predictions: np.ndarray, rows: np.ndarray | slice) -> dict[str, Interval]:
        task, labels = self.matrices.task, self.labels[rows]
        return metric_intervals.compute_defined_intervals(task, labels, predictions[rows], self.days[rows])

    def _compare_with_live(self, predictions: np.ndarray) -> Interval | None:
        if self.live is None or not self.known.any():
            return None
        losses, others = self._clip_losses(predictions), self._clip_losses(self.live.predictions)
        return bootstrap.compare_paired_losses(losses, others, self.days[self.known], self.confidence)

    def _clip_losses(self, predictions: np.ndarray) -> np.ndarray:
        losses = compute_row_losses(self.matrices.task, self.labels[self.known], predictions[self.known])
        return np.minimum(losses, self.ceiling)
