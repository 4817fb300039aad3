"""Watching models in production: drift, loss, data quality, windows and alarms; reports and dashboard."""
