"""Another name of counts.py."""

from counts import PREDICTION, Binning, Profile, by_day, shares, summarise, watched

__all__ = ["PREDICTION", "Binning", "Profile", "by_day", "shares", "summarise", "watched"]
