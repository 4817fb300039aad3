"""The doctor's check that the service answers what training predicts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.encoding import FeatureEncoder
from penumbra.core.text.counts import format_count
from penumbra.features import Record
from penumbra.training.doctor.checks import Finding

SKEW_TOLERANCE = 1e-6  # largest difference between two ways to the same prediction


@dataclass(frozen=True)
class SkewSample:
    """Records that the service was asked about, and what training makes of them.

    Args:
        records: The records, n of them.
        features: The features that training derives from them, [n, k].
        expected: The predictions of the fitted model, [n] or [n, classes].
    """

    records: Sequence[Record]
    features: pl.DataFrame
    expected: np.ndarray


def find_serving_skew(
    inputs: FeatureEncoder, sample: SkewSample, answers: Mapping[str, Sequence[Any]]
) -> list[Finding]:
    """Find answers of the service that differ from the training-time predictions.

    Args:
        inputs: The encoder of the features.
        sample: The records that were asked about.
        answers: For each way of asking, n answers: a number, several, or the words of a refusal.

    Returns:
        A finding for each way that gives differing answers.
    """
    return [finding for way, given in answers.items() if (finding := _skew_finding(inputs, sample, way, given))]


def _skew_finding(inputs: FeatureEncoder, sample: SkewSample, way: str, answers: Sequence[Any]) -> Finding | None:
    none = np.full(sample.expected.shape[1:], np.nan)
    numbers = np.array([none if isinstance(answer, str) else answer for answer in answers])
    agree = np.abs(numbers - sample.expected) <= SKEW_TOLERANCE
    differing = np.flatnonzero(~agree.reshape(len(agree), -1).all(axis=1))
    if not differing.size:
        return None
    first = int(differing[0])
    record, names = sample.records[first], ", ".join(_differing_inputs(inputs, sample, differing))
    evidence = (
        f"{differing.size:,} of {format_count(len(answers), 'answer')} to {way} differ: {answers[first]} "
        "instead of training's "
        f"{sample.expected[first]} for {dict(record)}"
    )
    if not names:
        return Finding(
            "skew",
            "prediction",
            evidence,
            "the inputs agree: compare service/ with penumbra/registry/bundles/",
        )
    return Finding("skew", names, evidence, "make the kind's expr() and scalar() agree, and run `make train` again")


def _differing_inputs(inputs: FeatureEncoder, sample: SkewSample, positions: np.ndarray) -> Iterator[str]:
    """List the inputs that a single record and a frame of training encode differently at any of these rows."""
    of_frame = inputs.encode_frame(sample.features[positions])
    for column, kind in enumerate(inputs.kinds):
        row = FeatureEncoder((kind,), inputs.tables).row()
        of_records = np.array([row(sample.records[position])[0] for position in positions])
        if not np.array_equal(of_records, of_frame[:, column], equal_nan=True):
            yield kind.name
