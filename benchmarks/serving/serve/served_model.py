"""The model that all servers serve: fitted once, as a bundle and as an MLflow model."""

import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import polars as pl

import problem.features
import problem.schema
import problem.source
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.task import Task
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.training.attributions.attributions_file import build_attributions_file
from penumbra.training.evaluation.evaluate import predict_for_task
from penumbra.training.fit import TrainingSet, fit_estimator
from penumbra.training.release import build_release
from problem.candidates import gradient_boosting


def make_served_model(root: Path) -> list[list[float | None]]:
    """<root>/bundle and <root>/mlflow-model; return the example's row of the matrix."""
    import mlflow.sklearn

    rows = pl.concat([_read_rows(f"2013-{month:02}") for month in (1, 2, 3)])
    features = derive_features(problem.features.FEATURES, rows)
    encoding = FeatureEncoder(problem.features.FEATURES, learn_category_tables(problem.features.FEATURES, features))
    matrix, labels = encoding.encode_frame(features), rows.select(problem.schema.target()).to_series().to_numpy()
    model = gradient_boosting(SimpleNamespace(categorical=encoding.categorical, numeric=encoding.numeric))
    lesson, task = TrainingSet(matrix, labels), Task.from_schema(problem.schema)
    fit_estimator(model, lesson)
    made = build_release(model, matrix[:1000], encoding.categorical, task)
    bundle_writing.write_model_files(root / "bundle", made.model, made.probe, made.answers)
    predict = partial(predict_for_task, task, model)
    attributions = build_attributions_file(model, matrix[:1000], made.probe, predict, bundle.open_transform)
    (root / "bundle" / bundle.ATTRIBUTIONS_FILE).write_bytes(attributions)
    bundle_writing.write_reference_rows(root / "bundle", rows.head(1))
    bundle_writing.seal_bundle(root / "bundle", {"threshold": 0.3}, encoding.kinds, encoding.tables)
    mlflow.sklearn.save_model(
        model,
        root / "mlflow-model",
        serialization_format="cloudpickle",
        pip_requirements=[],
        pyfunc_predict_fn="predict_proba",
    )
    return matrix[:1].tolist()


def make_service_state(bundle: Path, place: Path, **roles: Path | None) -> Path:
    """A place for a service whose live version is 1, from this bundle; of other roles the bundles, as versions 2, 3, …
    Returns the place."""
    for version, (role, source) in enumerate({"live": bundle, **roles}.items(), start=1):
        if source:
            shutil.copytree(source, place / "state/bundles" / str(version))
            (place / "state" / role).write_text(str(version))
    return place


def _read_rows(batch: str) -> pl.DataFrame:
    text = problem.source.parse(problem.source.fetch(batch)).with_columns(problem.source.CONVERSIONS)
    good, _ = problem.schema.Labelled.filter(text, cast=True)
    return good.filter(pl.col("arr_delay").is_not_null())
