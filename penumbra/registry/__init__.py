"""Model versions: MLflow runs and aliases, bundles, the service's pointers, the ledger and lineage."""

import os

from penumbra.core.system.lazy_packages import defer_modules

MLFLOW_PACKAGES = (  # of which the registry's client needs a part
    *("mlflow.gateway", "mlflow.models", "mlflow.genai"),
    *(f"mlflow.genai.{name}" for name in ("agent_server", "datasets", "evaluation", "judges", "prompts", "scorers")),
)

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # both are read once, when mlflow is imported
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

# For processes that ask again by themselves, or whose user waits: MLflow's client would try for minutes.
REGISTRY_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
SIGNING_KEY_VARIABLE = "BUNDLE_SIGNING_KEY"  # of the environment, as a setting would be recorded with every run

defer_modules(*MLFLOW_PACKAGES)
