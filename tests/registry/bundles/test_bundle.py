import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import dataframely as dy
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.task import Task
from penumbra.features import Category, Expression, Number
from penumbra.patterns.augmentation import Augmented
from penumbra.patterns.hard_negatives import HardNegatives
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.registry.bundles.manifest import read_manifest, write_manifest
from penumbra.registry.bundles.serving_cost import measure_single_row_us
from penumbra.training.fit import TrainingSet
from tests.helpers.models.released_models import fit_release

KINDS = (Number("size"), Category("colour"))
ROWS = pl.DataFrame({"size": [1.0, 2.0, None, 4.0] * 15, "colour": ["red", None, "blue", "red", "green"] * 12})
BINARY = Task("binary")
LABELS = np.arange(60) % 4 > 1
FACTS = {"threshold": 0.3, "train": ["2013-01"], "metrics": {"brier": 0.1}}


class Thing(dy.Schema):
    size = dy.Float64(nullable=True)
    colour = dy.String(nullable=True)


class Measured(Thing):
    heavy = dy.Bool(nullable=True)


def make_problem(features=KINDS, target="heavy"):
    """A problem of today, with the parts that reading a bundle takes."""
    schema = SimpleNamespace(Row=Thing, Labelled=Measured, target=lambda: pl.col(target))
    return SimpleNamespace(schema=schema, features=SimpleNamespace(FEATURES=features))


PROBLEM = make_problem()
FILES = ["bundle.json", "model.onnx", "probe.npz", "reference.parquet"]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A whole bundle's folder, the fitted estimator, and its encoding."""
    features = derive_features(KINDS, ROWS)
    encoding = FeatureEncoder(KINDS, learn_category_tables(KINDS, features))
    estimator = HistGradientBoostingClassifier(categorical_features=[1], min_samples_leaf=2, max_iter=5)
    inputs = encoding.encode_frame(features)
    released = fit_release(estimator, TrainingSet(inputs, LABELS), inputs, encoding.categorical, Task("binary"))
    folder = tmp_path_factory.mktemp("sealed") / "bundle"
    bundle_writing.write_model_files(folder, released.model, released.probe, released.answers)
    bundle_writing.write_reference_rows(folder, ROWS.with_columns(probability=pl.lit(0.5)))
    bundle_writing.seal_bundle(folder, FACTS, KINDS, encoding.tables)
    return folder, estimator, encoding


@pytest.fixture
def folder(sealed, tmp_path):
    """A copy of it to be damaged."""
    return shutil.copytree(sealed[0], tmp_path / "bundle")


def reseal(folder, **facts):
    """Write bundle.json again for the present files."""
    tables = json.loads((folder / "bundle.json").read_text())["tables"]
    bundle_writing.seal_bundle(folder, {**FACTS, **facts}, KINDS, tables)


def test_a_whole_bundle_reads_back_with_its_facts(folder):
    read = bundle.read_bundle(folder, PROBLEM, version="7")
    assert (read.version, read.threshold, read.facts["train"]) == ("7", 0.3, ["2013-01"])
    assert read.inputs.tables == {"colour": {"blue": 0, "green": 1, "red": 2}}


@given(
    sizes=st.lists(st.none() | st.floats(-5, 5), min_size=1, max_size=5),
    colour=st.sampled_from(["red", "blue", "unseen", None]),
)
def test_a_bundle_scores_as_the_fitted_estimator_does(sealed, sizes, colour):
    folder, estimator, encoding = sealed
    rows = pl.DataFrame(
        {"size": sizes, "colour": [colour] * len(sizes)}, schema={"size": pl.Float64, "colour": pl.String}
    )
    expected = estimator.predict_proba(encoding.encode_frame(derive_features(KINDS, rows)))[:, 1]
    np.testing.assert_allclose(bundle.read_bundle(folder, PROBLEM).score(rows), expected, atol=1e-9)


def test_no_rows_give_no_scores(folder):
    assert bundle.read_bundle(folder, PROBLEM).score(ROWS.head(0)).shape == (0,)


@pytest.mark.parametrize("name", FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_in_a_file_is_refused(folder, name, data):
    content = (folder / name).read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    (folder / name).write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
    try:
        with pytest.raises(bundle.BrokenBundle, match=r"bundle"):
            bundle.read_bundle(folder, PROBLEM)
    finally:
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(bundle.BrokenBundle, match=name):
        bundle.read_bundle(folder, PROBLEM)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_short_is_refused(folder, name):
    os.truncate(folder / name, (folder / name).stat().st_size // 2)
    with pytest.raises(bundle.BrokenBundle, match=name):
        bundle.read_bundle(folder, PROBLEM)


@pytest.mark.parametrize("content", ["null", "[]", "3", "{}", '{"inputs": []}', "", "\x00"])
def test_a_description_that_is_none_is_refused(folder, content):
    (folder / "bundle.json").write_text(content)
    with pytest.raises(bundle.BrokenBundle, match=r"bundle\.json"):
        bundle.read_bundle(folder, PROBLEM)


@pytest.mark.parametrize(
    "kinds", [KINDS[:1], KINDS[::-1], (Category("colour"),), (*KINDS, Expression("twice", pl.col("size") * 2, Thing))]
)
def test_a_bundle_answers_with_its_own_features_whatever_the_code_has_now(folder, kinds):
    before = bundle.read_bundle(folder, PROBLEM)
    after = bundle.read_bundle(folder, make_problem(features=kinds))
    assert after.inputs == before.inputs
    np.testing.assert_array_equal(after.score(ROWS), before.score(ROWS))


def test_a_bundle_of_the_release_before_is_read_by_the_text_of_its_features(folder):
    manifest = read_manifest(folder)
    write_manifest(folder, {**manifest, "inputs": [repr(kind) for kind in KINDS]})
    assert bundle.read_bundle(folder, make_problem(features=())).inputs.kinds == KINDS


def probe(folder):
    with np.load(folder / "probe.npz") as arrays:
        return arrays["inputs"], arrays["outputs"]


@pytest.mark.parametrize("wrong", [1e-5, np.nan])
def test_a_bundle_that_answers_otherwise_than_the_fitted_model_is_refused(folder, wrong):
    inputs, outputs = probe(folder)
    outputs[3, 1] += wrong
    np.savez(folder / "probe.npz", inputs=inputs, outputs=outputs)
    reseal(folder)
    with pytest.raises(bundle.BrokenBundle, match="differ from the fitted model's by"):
        bundle.read_bundle(folder, PROBLEM)


def test_a_difference_that_only_rounding_makes_is_none(folder):
    inputs, outputs = probe(folder)
    np.savez(folder / "probe.npz", inputs=inputs, outputs=outputs + 1e-9)
    reseal(folder)
    assert bundle.read_bundle(folder, PROBLEM).version == ""


def test_the_model_of_another_bundle_is_refused_although_it_is_whole(folder):
    (folder / "model.onnx").write_bytes(b"no model at all")
    reseal(folder)
    with pytest.raises(bundle.BrokenBundle, match=r"model\.onnx"):
        bundle.read_bundle(folder, PROBLEM)


class Harm:
    """Leaves a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_a_pickle_in_a_bundle_is_refused_and_never_executed(folder, tmp_path):
    harm = np.array([Harm(tmp_path / "executed")], dtype=object)
    np.savez(folder / "probe.npz", inputs=harm, outputs=harm)
    reseal(folder)
    with pytest.raises(ValueError, match="allow_pickle"):
        bundle.read_bundle(folder, PROBLEM)
    assert not (tmp_path / "executed").exists()


def test_a_bundle_is_these_four_files_and_none_is_a_pickle(sealed):
    folder, _, _ = sealed
    assert sorted(path.name for path in folder.iterdir()) == FILES
    with zipfile.ZipFile(folder / "probe.npz") as arrays:
        headers = [arrays.read(name)[:128] for name in arrays.namelist()]
    assert all(b"'descr': '<f8'" in header for header in headers)


# A model that can't be compiled


@pytest.fixture
def fallback(tmp_path):
    """A bundle's folder with a fitted estimator that has no compiled form, and the estimator."""
    return uncompiled(tmp_path / "fallback", make_pipeline(SimpleImputer(), KNeighborsClassifier()))


def uncompiled(folder, estimator, task=BINARY, y=LABELS):
    features = derive_features(KINDS, ROWS)
    encoding = FeatureEncoder(KINDS, learn_category_tables(KINDS, features))
    inputs = encoding.encode_frame(features)
    released = fit_release(estimator, TrainingSet(inputs, y), inputs, encoding.categorical, task)
    assert not released.compiled
    bundle_writing.write_model_files(folder, released.model, released.probe, released.answers)
    bundle_writing.write_reference_rows(folder, ROWS.head(1))
    bundle_writing.seal_bundle(folder, FACTS | {"task": {"kind": task.kind}}, KINDS, encoding.tables)
    return folder, estimator, inputs


def test_reference_rows_of_the_first_release_are_read(tmp_path):
    bundle_writing.write_reference_rows(
        tmp_path, pl.DataFrame({"size": [1.5], "batch": "a", "label": True, "prediction": 0.5})
    )
    assert bundle.read_reference_rows(tmp_path).columns == [
        "size", "penumbra.batch", "penumbra.label", "penumbra.prediction"
    ]  # fmt: skip


def test_an_uncompiled_model_is_shipped_as_an_archive_and_scores_as_it_did(fallback):
    folder, estimator, inputs = fallback
    read = bundle.read_bundle(folder, PROBLEM)
    assert (read.session, (folder / "model.onnx").exists()) == (None, False)
    np.testing.assert_array_equal(read.score(ROWS), estimator.predict_proba(inputs)[:, 1])


def test_an_uncompiled_regression_answers_with_values(tmp_path):
    regressor = make_pipeline(SimpleImputer(), KNeighborsRegressor())
    folder, estimator, inputs = uncompiled(tmp_path / "r", regressor, Task("regression"), np.arange(60.0))
    read = bundle.read_bundle(folder, make_problem(target="size"))
    np.testing.assert_array_equal(read.score(ROWS), estimator.predict(inputs))


class NeverAsked:
    """An estimator that fails when it is asked, as scikit-learn's do where there are no rows."""

    def predict_proba(self, inputs):
        raise ValueError(f"Found array with {len(inputs)} sample(s)")

    predict = predict_proba


@pytest.mark.parametrize(
    ("kind", "classes", "outputs", "scores"),
    [
        ("binary", [], (0, 2), (0,)),
        ("multiclass", ["fog", "haze", "clear"], (0, 3), (0, 3)),
        ("regression", [], (0,), (0,)),
    ],
)
def test_a_model_is_not_asked_about_no_rows(kind, classes, outputs, scores):
    facts = {"version": "7", "task": {"kind": kind, "classes": classes}}
    model = bundle.Bundle(Path(), facts, FeatureEncoder(KINDS, {"colour": {"blue": 0}}), None, NeverAsked())
    matrix = np.empty((0, 2))
    assert (model.compute_outputs(matrix).shape, model.predictions(matrix).shape) == (outputs, scores)
    assert (model.score(ROWS.head(0)).shape, model.score(ROWS.head(0)).dtype) == (scores, float)


def test_patterns_around_an_uncompiled_model_are_shipped_without_what_only_training_needs(tmp_path):
    within = HardNegatives(make_pipeline(SimpleImputer(), KNeighborsClassifier()))
    folder, estimator, inputs = uncompiled(tmp_path / "p", Augmented(within, lambda m, c, rng: m, object()))
    np.testing.assert_array_equal(
        bundle.read_bundle(folder, PROBLEM).score(ROWS), estimator.predict_proba(inputs)[:, 1]
    )


class Stranger(DummyClassifier):
    """An estimator that the code doesn't list."""


def test_a_type_that_the_code_does_not_list_is_refused_by_name_whatever_the_archive_says(tmp_path):
    with pytest.raises(
        bundle.BrokenBundle,
        match=r"tests\.registry\.bundles\.test_bundle\.Stranger, which "
        r"penumbra/registry/bundles/skops_model\.py doesn't list",
    ):
        uncompiled(tmp_path / "s", Stranger())


def test_a_damaged_archive_is_refused(fallback):
    folder, *_ = fallback
    (folder / "model.skops").write_bytes((folder / "model.skops").read_bytes()[:300])
    reseal(folder)
    with pytest.raises(bundle.BrokenBundle, match=r"model\.skops"):
        bundle.read_bundle(folder, PROBLEM)


def test_where_skops_is_not_installed_an_uncompiled_model_is_refused_and_told_what_it_needs(fallback, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(bundle.BrokenBundle, match="needs scikit-learn and skops"):
        bundle.read_bundle(fallback[0], PROBLEM)


def test_a_model_replaces_the_one_of_another_form(sealed, fallback):
    folder, _, inputs = fallback
    compiled = sealed[0] / "model.onnx"
    bundle_writing.write_model_files(
        folder, compiled.read_bytes(), inputs, bundle.open_onnx_session(compiled).run(None, {"inputs": inputs})[0]
    )
    reseal(folder)
    assert bundle.read_bundle(folder, PROBLEM).session is not None


# What a model costs


def test_single_rows_are_scored_one_at_a_time_and_the_median_is_returned():
    shapes = []
    microseconds = measure_single_row_us(lambda row: shapes.append(row.shape), np.zeros((3, 2)), rounds=5)
    assert microseconds > 0
    assert set(shapes) == {(1, 2)}


def test_both_forms_of_a_model_can_be_timed(sealed, fallback):
    for folder in (sealed[0], fallback[0]):
        read = bundle.read_bundle(folder, PROBLEM)
        assert 0 < measure_single_row_us(read.session or read.compute_outputs, np.zeros((3, 2)), rounds=3) < 1e6
