"""False alarms of the monitor, and what it detects."""
