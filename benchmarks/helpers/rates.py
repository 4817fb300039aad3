"""The rate of rare events in windows that aren't independent, with its upper bound."""

import numpy as np


def compute_alarm_rate(worlds: list[list[bool]]) -> tuple[float, float]:
    """Compute the share of windows that alarm, and its upper 95 % bound.

    Args:
        worlds: Of each world, whether each of its windows alarms. Windows of a world share a reference and a model.

    Returns:
        The share; and the bound by worlds, or if that is larger the one as if every window stood for itself.

    Source:
        Clopper, Pearson, "The use of confidence or fiducial limits", 1934, for the latter; Student's t for the former.
    """
    from scipy.stats import beta, t

    windows, alarms = sum(map(len, worlds)), sum(map(sum, worlds))
    rates = np.array([np.mean(world) for world in worlds])
    by_worlds = rates.mean() + t.ppf(0.95, len(rates) - 1) * rates.std(ddof=1) / np.sqrt(len(rates))
    by_windows = 1.0 if alarms == windows else beta.ppf(0.95, alarms + 1, windows - alarms)
    return round(alarms / windows, 4), round(float(max(by_worlds, by_windows)), 4)
