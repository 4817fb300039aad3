"""The record of a window that was judged.

A window is some whole days of events (UTC), by the rows' own time; windows lie side by side. Each is of one model.
"""

import datetime as dt

import msgspec

from monitoring.drift.column_drift import ColumnDrift
from monitoring.explanations.records import Explanation
from monitoring.losses.loss_threshold import StretchLoss
from monitoring.windows.window_days import describe_stretch, format_window_days
from penumbra.core.histograms import DegradedSlice
from penumbra.core.text.counts import format_count, format_share


class LargestDrift(msgspec.Struct, frozen=True):
    """The drift of a window.

    Attributes:
        ratio: The largest ratio of distance to threshold.
        column: The column that has it, or "the predictions".
        days: Over how many of the latest days; None for the window's own.
        shift: "higher" or "lower" where the values have shifted, else "".
    """

    ratio: float
    column: str
    days: int | None = None
    shift: str = ""


class ScoreReference(msgspec.Struct, frozen=True):
    """The days whose scores by the same version a window's predictions are compared with.

    Attributes:
        first: The first day.
        last: The last day.
        days: How many days these are.
        live: On how many of them the version answered; on the others it was in the shadow.
    """

    first: dt.date
    last: dt.date
    days: int
    live: int

    def __str__(self) -> str:
        where = "" if self.live == self.days else f", {self.days - self.live} of them in the shadow"
        return f"the same version's scores of {format_count(self.days, 'day')}, {self.first} to {self.last}{where}"


class WindowLoss(msgspec.Struct, frozen=True):
    """Mean loss on rows with mature labels.

    Attributes:
        labels: The number of labels.
        mean: The mean loss.
        low: The lower end of its confidence band.
        high: The upper end of its confidence band.
        threshold: The mean loss above which it is an alarm; None where that is unknown.
        clipped: The share of rows whose loss counts as the ceiling.
        longer: The same over more of the latest days, where that is nearer to an alarm.
    """

    labels: int
    mean: float
    low: float
    high: float
    threshold: float | None
    clipped: float = 0.0
    longer: StretchLoss | None = None

    @property
    def nearest(self) -> "WindowLoss | StretchLoss":
        """The loss that is nearest to an alarm, over the window's days or more of the latest ones."""
        return self.longer or self

    @property
    def is_high(self) -> bool:
        """Whether it is an alarm, over the window's days or more of the latest ones."""
        is_longer_high = self.longer is not None and self.longer.is_high
        return is_longer_high or (self.threshold is not None and self.mean > self.threshold)


class EstimatedLoss(msgspec.Struct, frozen=True):
    """Mean loss estimated without labels.

    Attributes:
        mean: The mean loss.
        low: The lower end of the band that contains the realised loss if the assumptions hold.
        high: The upper end of that band.
        assumes: The assumptions of the estimate.
        method: How it was estimated, and if the reference couldn't be weighted why not.
        effective_rows: How many equal rows the weighted reference is worth; None where it wasn't weighted.
        effective_days: How many equal days it is worth.
    """

    mean: float
    low: float
    high: float
    assumes: str
    method: str = "by the calibration of scores on the reference"
    effective_rows: float | None = None
    effective_days: float | None = None

    @property
    def basis(self) -> str:
        """The method with what the reference is worth, in words."""
        if self.effective_rows is None or self.effective_days is None:
            return self.method
        return (
            f"{self.method}, worth {format_count(self.effective_rows, 'row')} and "
            f"{format_count(self.effective_days, 'day')}"
        )


class LabelArrivals(msgspec.Struct, frozen=True):
    """How many labels have arrived.

    Attributes:
        due: The number of labels that are due.
        arrived: The number of those that are there.
    """

    due: int
    arrived: int


class RealisedCoverage(msgspec.Struct, frozen=True):
    """How often prediction sets, or intervals, held the truth, on rows with mature labels.

    Attributes:
        labels: The number of labels.
        mean: The share of rows whose set held it.
        low: The lower end of its confidence band.
        high: The upper end of its confidence band.
        promised: The share that the version promises.
    """

    labels: int
    mean: float
    low: float
    high: float
    promised: float

    @property
    def is_short(self) -> bool:
        """Whether it is below the promise, beyond its band. That is no alarm."""
        return self.high < self.promised

    def __str__(self) -> str:
        """Such as "87.4% (85.1% to 89.7%), short of the 90% that are promised"."""
        words = "short of the {} that are promised" if self.is_short else "where {} are promised"
        promise = words.format(f"{100 * self.promised:.4g}%")
        return f"{self.mean:.1%} ({self.low:.1%} to {self.high:.1%}), {promise}"


class ShadowDisagreement(msgspec.Struct, frozen=True):
    """The difference between the candidate's and the live model's predictions.

    Attributes:
        rows: The number of rows that both predicted.
        disagreement: The mean difference.
        floor: The mean difference of the live model from its own recipe fitted on other rows; None where it is unknown.
        version: The candidate's version; "" in a record of an early release.
    """

    rows: int
    disagreement: float
    floor: float | None
    version: str = ""


class GroupDifference(msgspec.Struct, frozen=True):
    """The largest difference between groups of a sensitive column on rows with mature labels.

    Attributes:
        column: The sensitive column.
        comparison: What is compared, such as "equalized_odds".
        value: The group with the highest value less the one with the lowest.
        low: The lower end of its confidence band, for all pairs of groups together.
        high: The upper end of its confidence band.
        highest: The group with the highest value.
        lowest: The group with the lowest value.
        limit: What the gate allows; None where it doesn't judge this.
    """

    column: str
    comparison: str
    value: float
    low: float
    high: float
    highest: str
    lowest: str
    limit: float | None = None


class AttributionDrift(msgspec.Struct, frozen=True):
    """How much the model's reasons differ from those in its reference; no alarm.

    Attributes:
        rows: The number of rows whose attributions were computed.
        distance: The share of all attributions that belongs to other features than in the reference, 0 to 1: the total
            variation distance of the features' shares.
        feature: The feature whose share has changed most.
        before: Its share in the reference.
        now: Its share in the window.
        sizes: The mean absolute attribution of each feature in the reference and in the window.
    """

    rows: int
    distance: float
    feature: str
    before: float
    now: float
    sizes: dict[str, tuple[float, float]]

    def __str__(self) -> str:
        """Such as "12.3% (dest: 8.1% before, 20.4% now)"."""
        shares = f"{format_share(self.before)} before, {format_share(self.now)} now"
        return f"{format_share(self.distance)} ({self.feature}: {shares})"


class DayFault(msgspec.Struct, frozen=True):
    """A data fault of one day, or of the few days that were judged together.

    Attributes:
        day: The first day.
        what: The kind of fault, such as "nulls".
        column: The column; "" where the fault is of the rows as a whole.
        text: How much is wrong.
        cause: What is likely behind it.
        days: How many days were judged together.
    """

    day: dt.date
    what: str
    column: str
    text: str
    cause: str
    days: int = 1

    @property
    def last(self) -> dt.date:
        """The last day."""
        return self.day + dt.timedelta(days=self.days - 1)

    @property
    def span(self) -> str:
        """The day, or the first and the last one, in words."""
        return str(self.day) if self.days == 1 else f"{self.day} to {self.last}"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a judged window. None: not known, as labels aren't mature or there is no candidate.

    Attributes:
        begin: The first day.
        end: The first day after the window.
        model: The version that answered.
        rows: The number of rows that it answered; those by other versions are among the limits.
        verdict: "ok", "wait", "investigate" or "retrain".
        reason: Why, in one sentence.
        judged: When the verdict was given.
        columns: The distance of each column from the reference.
        prediction: The distance of the predictions.
        compared: What the predictions are compared with; None where they aren't judged, and in records of releases that
            compared them with the bundle's reference.
        drift: The largest of these, in thresholds.
        loss: The realised loss.
        estimated: The estimated loss.
        labels: How many labels have arrived.
        calibration: The expected calibration error.
        coverage: How often prediction sets or intervals held the truth.
        shadow: The candidate's difference from the live model.
        faults: The data faults.
        slices: The slices whose loss has risen, the most risen first.
        groups: How much groups of the sensitive columns differ.
        attributions: How much the model's reasons differ from those in its reference.
        explanation: Why, since when, and what the loss's rise is made of; None in records of earlier versions.
        limits: What isn't judged, or not as usual, and why: a clause each; the reason ends with them.
        awaited: Days that don't count for the loss, as too few of their labels had come though all were due: the window
            is judged again once they have.
    """

    begin: dt.date
    end: dt.date
    model: str
    rows: int
    verdict: str
    reason: str
    judged: dt.datetime
    columns: dict[str, ColumnDrift] = {}
    prediction: ColumnDrift | None = None
    compared: ScoreReference | None = None
    drift: LargestDrift | None = None
    loss: WindowLoss | None = None
    estimated: EstimatedLoss | None = None
    labels: LabelArrivals | None = None
    calibration: float | None = None
    coverage: RealisedCoverage | None = None
    shadow: ShadowDisagreement | None = None
    faults: list[DayFault] = []
    slices: list[DegradedSlice] = []
    groups: list[GroupDifference] = []
    attributions: AttributionDrift | None = None
    explanation: Explanation | None = None
    limits: list[str] = []
    awaited: list[dt.date] = []

    @property
    def days(self) -> str:
        """The first and the last day, in words."""
        return format_window_days(self.begin, self.end)

    @property
    def length(self) -> int:
        """The number of days."""
        return (self.end - self.begin).days

    @property
    def drift_stretch(self) -> str:
        """Over which days the most drifted column has moved, and where to, in words."""
        return describe_stretch(self.drift.days, self.length, self.drift.shift) if self.drift else ""

    @property
    def loss_stretch(self) -> str:
        """Over which days the loss is that is nearest to an alarm, in words."""
        return describe_stretch(self.loss.longer.days, self.length) if self.loss and self.loss.longer else ""


def has_alarm(window: Window) -> bool:
    """Say whether a window has an alarm, whatever followed from it.

    Args:
        window: The window's record.

    Returns:
        Whether the verdict isn't "ok", or drift or loss is beyond its threshold.
    """
    has_drift = window.drift is not None and window.drift.ratio > 1
    is_high = window.loss is not None and window.loss.is_high
    return window.verdict != "ok" or has_drift or is_high
