"""The time of rows: the column that has it, what repeats it, days, periods, and features of the calendar."""
