"""The nightly runs of the flows: entries for cron, or for systemd where there is no cron."""
