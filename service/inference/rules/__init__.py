"""The business rules of a loaded model version, for single records and for frames."""
