"""Where raw batches come from: a month of hourly weather each."""

import functools

from examples import weather

CONVERSIONS, batches, fetch = weather.CONVERSIONS, weather.batches, weather.fetch
parse = functools.partial(weather.parse, later="temp")
