"""State: the only code that touches disk, DVC, MLflow or a database. One reader and one writer of each store."""
