"""What a comparison of two models on a number of days can't know: losses on days that are rarer than those seen.

Among n days a kind of day that comes with a probability above 3/n is missing with a probability of at most 5 % (the
"rule of three"). Of rarer days nothing is known: two candidates that differ on them alone look the same, so that
whatever test promotes the good one promotes the other just as often while no such day has come.

Source:
    Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 1983.
"""

from dataclasses import dataclass

import numpy as np

from penumbra.core.text.counts import format_count

RULE_OF_THREE = 3


@dataclass(frozen=True)
class EarlierDays:
    """Days before the shadow on which two models' recipes were compared: at the gate.

    They are no evidence of a gain, as the candidate was chosen on them, but a rare loss would have shown on them.

    Args:
        days: Their number.
        worst: The largest mean loss a row by which the candidate was worse on one of them; 0 if it never was.
        fault: Why days that are on record don't count, in a clause; "" if there are none such.
    """

    days: int = 0
    worst: float = 0.0
    fault: str = ""


def summarise_earlier_days(differences: np.ndarray, rows: np.ndarray) -> EarlierDays:
    """Summarise the days on which two models were compared; a day without a finite loss and a row doesn't count.

    Args:
        differences: The live model's loss less the candidate's, summed by day, float64 [n].
        rows: The number of rows of each day, float64 [n].

    Returns:
        Their number and the worst of them.
    """
    is_known = np.isfinite(differences) & np.isfinite(rows) & (rows > 0)
    losses = -differences[is_known] / rows[is_known]
    return EarlierDays(len(losses), float(losses.max(initial=0.0)))


@dataclass(frozen=True)
class UnseenLoss:
    """The loss on a rare day that would cancel a gain, and what is known of such days.

    Args:
        one_in: A day that is rarer than one in so many may be missing from the days seen.
        days: Number of days seen, the earlier ones included.
        earlier_days: Those of them that were before the shadow.
        cancelling: The mean loss a row by which the candidate would have to be worse on one day in `one_in`.
        worst: That by which it was worse on the worst day seen; 0 if it never was.
    """

    one_in: float
    days: int
    earlier_days: int
    cancelling: float
    worst: float

    def __str__(self) -> str:
        """One clause: which days may be missing, what loss on them would cancel the gain, and the worst loss seen."""
        at_gate = f", {self.earlier_days:,} of them at the gate," if self.earlier_days else ""
        worst = f"the worst day seen was {self.worst:.2g} worse" if self.worst else "on no day seen was it worse"
        return (
            f"{format_count(self.days, 'day')}{at_gate} can't show what comes on fewer than one day in "
            f"{self.one_in:.0f}: "
            f"{self.cancelling:.2g} a row worse there would cancel the gain, {worst}"
        )


def find_unseen_loss(difference: float | None, worst: float, days: int, earlier_days: int) -> UnseenLoss | None:
    """Find the loss on a rare day that would cancel a gain.

    Args:
        difference: The mean gain a row; None if unknown.
        worst: The mean loss a row on the worst day seen, 0 or more.
        days: Number of days in the shadow.
        earlier_days: Number of days before it.

    Returns:
        The loss; None without a gain, or of so few days that every other one may be of a kind that is missing.
    """
    one_in = (days + earlier_days) / RULE_OF_THREE
    if difference is None or not difference > 0 or one_in < 2:
        return None
    return UnseenLoss(one_in, days + earlier_days, earlier_days, difference * (one_in - 1), worst)
