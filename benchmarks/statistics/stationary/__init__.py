"""Problems on which nothing changes, made and real, and the alarms that the monitor raises on them all the same."""
