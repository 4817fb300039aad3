"""What MLflow stores: its database, its versions read by SQL, and the records of runs."""
