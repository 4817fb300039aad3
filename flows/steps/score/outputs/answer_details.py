"""What is added to answers where it is asked for: why they are so, and how sure they are, as over HTTP."""

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl

from penumbra.core.attributions.additive_model import NotExplainable
from penumbra.core.columns import RESERVED_PREFIX, ROW_NUMBER_COLUMN
from penumbra.core.metrics.conformal import compute_uncertainty
from penumbra.core.predictions import find_finite_rows
from penumbra.registry.bundles.explanations import CLASS_COLUMN, EXPECTED_COLUMN, SCORE_COLUMN, compute_attributions
from service.inference.models.live_model import LoadedModel

EXPLAIN, UNCERTAINTY = "explain", "uncertainty"
EXPLAINED_PREFIX, SUM_PREFIX = f"{RESERVED_PREFIX}why.", f"{RESERVED_PREFIX}why_"
SUM_COLUMNS = (EXPECTED_COLUMN, SCORE_COLUMN, CLASS_COLUMN)


class DetailsMissing(ValueError):
    """A version can't say what is asked for beside its answers; says why."""


def compute_details(
    models: Mapping[str, LoadedModel],
    rows: pl.DataFrame,
    predictions: np.ndarray,
    versions: pl.Series,
    options: Collection[str],
) -> pl.DataFrame:
    """Compute what is asked for beside answers, each by the version that has answered.

    Args:
        models: The models by version, the live one first.
        rows: n rows that have an answer, with the contract's columns.
        predictions: float64 [n] or [n, classes]: those of the models; NaN where none was asked.
        versions: The version that has answered each row, String [n].
        options: `EXPLAIN`, `UNCERTAINTY`, both or none.

    Returns:
        n rows. To explain: what `compute_attributions` gives, called `penumbra.why.<feature>`, and its sums
        `penumbra.why_expected` and so on, as features may be called so; null where the version hasn't the feature.
        Of uncertainty: what `compute_uncertainty` gives. Null where no model was asked. The live version's columns are
        there in any case.

    Raises:
        DetailsMissing: A model that has answered, or the live one, can't be explained or has no limits.
    """
    found = []
    for position, (version, model) in enumerate(models.items()):
        numbers = (versions == version).arg_true()
        if position == 0 or len(numbers):
            details = _compute_for_version(model, rows[numbers], predictions[numbers.to_numpy()], options)
            found.append(details.with_columns(numbers.alias(ROW_NUMBER_COLUMN)))
    return pl.concat(found, how="diagonal").sort(ROW_NUMBER_COLUMN).drop(ROW_NUMBER_COLUMN)


def _compute_for_version(
    model: LoadedModel, rows: pl.DataFrame, predictions: np.ndarray, options: Collection[str]
) -> pl.DataFrame:
    found = [pl.DataFrame()]
    if UNCERTAINTY in options:
        if (limits := model.bundle.limits) is None:
            raise DetailsMissing(
                f"version {model.version} doesn't say how sure it is, as it was trained before that was measured: "
                "train one that does, or leave out --uncertainty"
            )
        found.append(compute_uncertainty(limits, predictions))
    if EXPLAIN in options:
        found.append(_explain(model, rows, find_finite_rows(predictions)))
    return pl.concat(found, how="horizontal")


def _explain(model: LoadedModel, rows: pl.DataFrame, is_asked: np.ndarray) -> pl.DataFrame:
    try:
        reasons = compute_attributions(model.bundle, rows.filter(is_asked))
    except NotExplainable as reason:
        said = f"version {model.version} of the model can't explain its answers, as {reason}: leave out --explain"
        raise DetailsMissing(said) from None
    places = pl.Series(np.where(is_asked, np.cumsum(is_asked) - 1, -1)).replace(-1, None)
    sums = {name: SUM_PREFIX + name.removeprefix(RESERVED_PREFIX) for name in reasons.columns if name in SUM_COLUMNS}
    named = reasons.rename(lambda name: sums.get(name, EXPLAINED_PREFIX + name))
    return named.select(pl.all().gather(places))
