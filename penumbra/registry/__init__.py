"""Model versions: MLflow runs and aliases, bundles, the service's pointers, the ledger and lineage."""
