"""What `monitor` is made of: due windows, their signals, alarms, retraining and reports."""
