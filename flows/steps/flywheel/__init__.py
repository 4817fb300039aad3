"""The step of an ingest that makes batches of training data out of what was answered and labelled."""
