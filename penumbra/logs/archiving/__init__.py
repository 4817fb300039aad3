"""The archive of the logs: closed segments as Parquet by day, shipped, verified, repaired."""
