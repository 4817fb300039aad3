"""What is added to answers where it is asked for: why they are so, and how sure they are, as over HTTP."""

from collections.abc import Collection

import numpy as np
import polars as pl

from penumbra.core.attributions.additive_model import NotExplainable
from penumbra.core.columns import RESERVED_PREFIX
from penumbra.core.metrics.conformal import compute_uncertainty
from penumbra.registry.bundles.explanations import compute_attributions
from service.inference.live_model import LoadedModel

EXPLAIN, UNCERTAINTY = "explain", "uncertainty"
EXPLAINED_PREFIX = f"{RESERVED_PREFIX}why."


class DetailsMissing(ValueError):
    """The live version can't say what is asked for beside its answers; says why."""


def compute_details(
    model: LoadedModel, rows: pl.DataFrame, predictions: np.ndarray, options: Collection[str]
) -> pl.DataFrame:
    """Compute what is asked for beside answers.

    Args:
        model: The version that has answered.
        rows: n rows that have an answer, with the contract's columns.
        predictions: float64 [n] or [n, classes]: the version's; NaN where it wasn't asked.
        options: `EXPLAIN`, `UNCERTAINTY`, both or none.

    Returns:
        n rows. To explain: what `compute_attributions` gives, called `penumbra.why.<feature>` and so on. Of
        uncertainty: what `compute_uncertainty` gives. Null where the version wasn't asked.

    Raises:
        DetailsMissing: The version's model can't be explained, or it has no limits.
    """
    found = [pl.DataFrame()]
    if UNCERTAINTY in options:
        if (limits := model.bundle.limits) is None:
            raise DetailsMissing(
                f"version {model.version} doesn't say how sure it is, as it was trained before that was measured: "
                "train one that does, or leave out --uncertainty"
            )
        found.append(compute_uncertainty(limits, predictions))
    if EXPLAIN in options:
        found.append(_explain(model, rows, np.isfinite(np.atleast_2d(predictions.T)).all(axis=0)))
    return pl.concat(found, how="horizontal")


def _explain(model: LoadedModel, rows: pl.DataFrame, is_asked: np.ndarray) -> pl.DataFrame:
    try:
        reasons = compute_attributions(model.bundle, rows.filter(is_asked))
    except NotExplainable as reason:
        said = f"version {model.version} of the model can't explain its answers, as {reason}: leave out --explain"
        raise DetailsMissing(said) from None
    places = pl.Series(np.where(is_asked, np.cumsum(is_asked) - 1, -1)).replace(-1, None)
    named = reasons.rename(lambda name: EXPLAINED_PREFIX + name.removeprefix(RESERVED_PREFIX))
    return named.select(pl.all().gather(places))
