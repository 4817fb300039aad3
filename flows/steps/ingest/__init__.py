"""The steps of an ingest: batches admitted, recorded as a version, their labels attached."""
