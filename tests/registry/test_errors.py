"""MLflow's errors, which are had without loading MLflow."""

import pytest

from tests.helpers.servers.processes import run_python

IMPORT_AT_ONCE = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
import monitoring.dashboard.approvals.site, penumbra.registry.models
from penumbra.registry.errors import MlflowException
print("mlflow" in sys.modules)

def import_client(wait):
    time.sleep(wait)
    from mlflow import MlflowClient
    return MlflowClient.__name__

with ThreadPoolExecutor(3) as threads:
    print(*threads.map(import_client, (0, 0.02, 0.1)))
import mlflow
print(mlflow.exceptions.MlflowException is MlflowException, mlflow.protos.databricks_pb2.__name__)
"""


@pytest.mark.slow
def test_mlflow_is_loaded_by_who_needs_more_than_its_errors_and_other_threads_wait_for_it():
    assert run_python(IMPORT_AT_ONCE) == [
        "False",
        "MlflowClient MlflowClient MlflowClient",
        "True mlflow.protos.databricks_pb2",
    ]
