"""The statistics: how often alarms, promotions and intervals are right on data of which the truth is known."""
