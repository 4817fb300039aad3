"""The gate's comparison of a model's answers to the same rows: as a frame of training, as a list, as single records.

They are given by the code of the service, in this process: its reader of JSON and its ways to score.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from flows.steps.doctor.skew_sample import pick_skew_rows
from flows.steps.train.matrices import Matrices
from penumbra.core.columns import INPUTS_COLUMN
from penumbra.core.encoding import FeatureEncoder
from penumbra.core.problem import Problem
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import quote_value
from penumbra.features import Expression, Feature
from penumbra.logs.append_log import encode_json
from penumbra.registry.bundles import bundle
from penumbra.training.doctor.checks import OUT_OF_FEATURES
from penumbra.training.gate.gate_checks import FormComparison
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import Contract, RecordDict
from service.inference.models.live_model import LoadedModel, make_loaded_model

REAL_ROWS, SLOW_MODEL_ROWS = 200, 20  # a model that isn't compiled takes milliseconds for a row
OUTPUT_TOLERANCE = 1e-6
ONE_RECORD = "a single record"


class FormAnswers(NamedTuple):
    """The model's inputs float64 [n, k] for n records in one form, and its outputs [n] or [n, classes]."""

    inputs: np.ndarray
    outputs: np.ndarray


def open_released_model(matrices: Matrices, folder: Path) -> bundle.Bundle:
    """Open a model before it has a complete bundle.

    Args:
        matrices: The matrices of the run, with the problem and the tables of values.
        folder: The folder in which `bundle_writing.write_model_files` has written it.

    Returns:
        The model with its features; its threshold is no matter.
    """
    facts = {"version": "", "task": dataclasses.asdict(matrices.task), "threshold": 0.5}
    encoder = FeatureEncoder(tuple(matrices.problem.features.FEATURES), matrices.tables)
    files = [path.name for path in folder.iterdir()]
    return bundle.Bundle(folder, facts, encoder, *bundle.load_bundle_model(folder, files))


def compare_served_forms(problem: Problem, released: bundle.Bundle, rows: pl.DataFrame) -> FormComparison:
    """Compare the answers to some real rows, rows with gaps, and rows sampled from the contract's ranges.

    Args:
        problem: The problem, with schema and features.
        released: The model in the form in which it is served.
        rows: Rows with the contract's columns and the derived features in `penumbra.inputs` (Struct).

    Returns:
        How many records were compared, and the first difference in words.
    """
    count = REAL_ROWS if released.session else SLOW_MODEL_ROWS
    real, awkward = pick_skew_rows(rows, problem.schema.Row, count)
    trained = real[INPUTS_COLUMN].struct.unnest()
    both = pl.concat([real.select(awkward.columns), awkward])
    try:
        return _compare_rows(problem, released, both, pl.concat([trained, released.inputs.derive(awkward)]))
    except Exception:  # a value that the contract allows and the model can't take: real rows decide
        return _compare_real_rows(problem, released, both.head(real.height), trained)


def _compare_real_rows(
    problem: Problem, released: bundle.Bundle, real: pl.DataFrame, features: pl.DataFrame
) -> FormComparison:
    try:
        return _compare_rows(problem, released, real, features)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return FormComparison(0, f"rows like those of training can't be answered one by one and as a list: {reason}")


def _compare_rows(
    problem: Problem, released: bundle.Bundle, sample: pl.DataFrame, features: pl.DataFrame
) -> FormComparison:
    """Compare the answers to rows, of which training has these features."""
    schema, kinds = problem.schema, released.inputs.kinds
    contract = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=sample.height)
    refusals = [_find_refusal(contract, record) for record in sample.iter_rows(named=True)]
    if all(refusals):
        return FormComparison(0, f"the service refuses every row like those of training, {refusals[0]}")
    readable = [not refusal for refusal in refusals]
    sample, matrix = sample.filter(readable), released.inputs.encode_frame(features.filter(readable))
    trained = FormAnswers(matrix, released.predictions(matrix))
    answers = _answer_in_each_form(make_loaded_model(released), contract, sample)
    differences = (_describe_difference(kinds, sample, trained, form, given) for form, given in answers.items())
    return FormComparison(sample.height, next(filter(None, differences), ""))


def _answer_in_each_form(model: LoadedModel, contract: Contract, sample: pl.DataFrame) -> Mapping[str, FormAnswers]:
    bodies = [encode_json(record) for record in sample.iter_rows(named=True)]
    listed = contract.to_frame(contract.parse_batch(b"[" + b",".join(bodies) + b"]"))
    inputs, outputs = zip(*(model.score_one(contract.parse_one(body)) for body in bodies), strict=True)
    return {
        "the same rows now": FormAnswers(*model.score_batch(sample)),
        "a list": FormAnswers(*model.score_batch(listed)),
        ONE_RECORD: FormAnswers(np.array(inputs), np.array(outputs)),
    }


def _describe_difference(
    kinds: Sequence[Feature], sample: pl.DataFrame, trained: FormAnswers, form: str, given: FormAnswers
) -> str:
    """Describe the first record to which one form gives other inputs or another answer than training, "" if none."""
    same = (trained.inputs == given.inputs) | (np.isnan(trained.inputs) & np.isnan(given.inputs))
    if not same.all():
        row, column = np.argwhere(~same)[0]
        kind, record = kinds[column], sample.row(row, named=True)
        values = ", ".join(f"{name} = {quote_value(record[name])}" for name in kind.columns)
        numbers = trained.inputs[row, column], given.inputs[row, column]
        return (
            f"{kind.name} is {numbers[0]:.9g} in training and {numbers[1]:.9g} for {form} where {values} "
            f"({(~same)[:, column].sum():,} of "
            f"{format_count(len(same), 'record differs', 'records differ')}): {_advise(kind, form)}"
        )
    close = np.isclose(trained.outputs, given.outputs, OUTPUT_TOLERANCE, OUTPUT_TOLERANCE, equal_nan=True)
    if close.all():
        return ""
    row = int(np.argwhere(~close)[0][0])
    return (
        f"the same inputs get {trained.outputs[row]} in a batch and {given.outputs[row]} for {form}: let the candidate "
        "predict each row by itself, whatever the rows beside it"
    )


def _advise(kind: Feature, form: str) -> str:
    if isinstance(kind, Expression):
        return f"let {kind.name} depend on nothing but the columns of its own row"
    if form == ONE_RECORD:
        return f"take {kind.name} {OUT_OF_FEATURES}, and report that its two forms differ"
    return "run `penumbra ingest --again` for the batches, so that the features are derived again"


def _find_refusal(contract: Contract, record: RecordDict) -> str:
    """Say why no request can hold this record, "" if one can: rows of batches needn't keep CHECKS, and may have NaN."""
    try:
        contract.parse_one(encode_json(record))
    except RequestRefused as refused:
        return f"the first because {refused}: {dict(refused.details[0]) if refused.details else ''}"
    return ""
