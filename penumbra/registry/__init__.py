"""Model versions: MLflow runs and aliases, bundles, the service's pointers, the ledger and lineage."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # both are read once, when mlflow is imported
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
