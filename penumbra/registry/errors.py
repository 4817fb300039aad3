"""MLflow's class of errors, which is had without loading all of MLflow, which takes a second."""

from penumbra.core.system.lazy_packages import load_before_package

load_before_package("mlflow.exceptions")

from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST  # noqa: E402

__all__ = ["RESOURCE_DOES_NOT_EXIST", "MlflowException"]
