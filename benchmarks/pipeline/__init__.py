"""The pipeline: ingest, training, scoring, monitoring, replays and backtests, beside plain code that does the same."""
