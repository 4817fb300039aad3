"""An explanation in sentences and as a table, for the report, the overview and the command line."""

from collections.abc import Iterator
from dataclasses import dataclass

from monitoring.explanations.records import ChangeDay, ColumnShift, Explanation, LossPart, LossRise
from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.tables import format_number

UNKNOWN_DAY = "since when can't be told"
INPUTS, RELATION = "shift of the inputs", "change of the relation"
CHANGE = "change of the loss"


@dataclass(frozen=True)
class PartRow:
    """A row of the table of parts.

    Attributes:
        name: The part's name.
        amount: How much it adds to the mean loss, with its sign.
        interval: Its 95 % interval.
        share: Its share of the rise; "" where the rise isn't clear.
        depth: 0 for the change as a whole, 1 for its two parts, 2 for what these consist of.
    """

    name: str
    amount: str
    interval: str
    share: str
    depth: int


def list_sentences(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Explain a window in sentences.

    Args:
        explanation: The explanation.

    Yields:
        Pairs of a subject, such as "why: loss", and a sentence.
    """
    for shift in explanation.shifts:
        yield f"why: {shift.column}", describe_column_shift(shift)
    if explanation.loss:
        yield "why: loss", describe_loss_rise(explanation.loss, explanation.since)
        yield from (
            (f"part of the change: {row.name}", f"{row.amount} ({row.interval})")
            for row in list_part_rows(explanation.loss)
            if row.depth
        )
        yield from (
            (f"why: new values of {name}", describe_unseen_values(share))
            for name, share in explanation.loss.unseen.items()
        )
    if explanation.limits:
        yield "why: can't be said", " ".join(explanation.limits)


def describe_column_shift(shift: ColumnShift) -> str:
    """Describe how a column has shifted, and since when.

    Args:
        shift: The shift.

    Returns:
        A sentence without the column's name.
    """
    said = f": {shift.shift}" if shift.shift else ""
    over = f" over the last {format_count(shift.days, 'day')}" if shift.days else ""
    return f"{shift.ratio:.2f} times its threshold{over}, {describe_change_day(shift.since)}{said}"


def describe_change_day(since: ChangeDay | None) -> str:
    """Describe since when something is so.

    Args:
        since: The day with its interval; None where it can't be told.

    Returns:
        Such as "since about 2024-07-03 (2024-07-01 to 2024-07-05)".
    """
    if since is None:
        return UNKNOWN_DAY
    if since.is_open:
        return f"since {since.high} or before"
    return f"since {since.day}" if since.low == since.high else f"since about {since.day} ({since.low} to {since.high})"


def describe_loss_rise(loss: LossRise, since: ChangeDay | None) -> str:
    """Describe the rise of the loss and which of its two parts is behind it.

    Args:
        loss: The rise and its parts.
        since: Since when the loss is higher; None where it isn't, or that can't be told.

    Returns:
        One or two sentences.
    """
    if loss.rise is None:
        return f"{_describe_inputs(loss.inputs)}, whatever has become of the relation."
    over = format_count(loss.labels, "label") + (f" of the last {format_count(loss.days, 'day')}" if loss.days else "")
    moved = f"{format_number(loss.usual + loss.rise.amount)} over {over}, {_format_part(loss.rise)}"
    against = f"{moved} against the {format_number(loss.usual)} of the reference"
    if not loss.rise.is_rise:
        return f"{against}: {'lower' if loss.rise.is_fall else 'not clearly higher'}."
    return f"{against}, {describe_change_day(since)}. {_describe_parts(loss)}"


def list_part_rows(loss: LossRise) -> Iterator[PartRow]:
    """List the parts of the change of the loss, a rise or a fall, as rows of a table.

    Args:
        loss: The rise and its parts.

    Yields:
        The change; the shift of the inputs with its columns; the change of the relation; the slices, which overlap.
    """
    whole = loss.rise.amount if loss.rise and loss.rise.is_rise else None
    named = [(loss.rise, CHANGE, 0), (loss.inputs, INPUTS, 1), *((part, part.name, 2) for part in loss.columns)]
    named += [(loss.relation, RELATION, 1), *((part, f"where {part.name}", 2) for part in loss.slices)]
    yield from (_build_part_row(part, name, depth, whole) for part, name, depth in named if part)


def describe_unseen_values(share: float) -> str:
    """Describe that a column has values that the reference never had.

    Args:
        share: The share of rows that have one, 0 to 1.

    Returns:
        A sentence without the column's name.
    """
    return f"{format_share(share)} of the rows have a value that the reference never had, and count as average ones"


def _build_part_row(part: LossPart, name: str, depth: int, whole: float | None) -> PartRow:
    interval = f"{format_number(part.low, '+')} to {format_number(part.high, '+')}"
    share = _format_share(part.amount / whole) if whole else ""
    return PartRow(name, format_number(part.amount, "+"), interval, share, depth)


def _describe_parts(loss: LossRise) -> str:
    rise, relation = loss.rise, loss.relation
    if rise is None or relation is None:
        return ""
    inputs = f"{_describe_inputs(loss.inputs)} ({_format_share(loss.inputs.amount / rise.amount)} of the rise)"
    if relation.is_rise:
        changed = "the same rows lose more than they did on the reference"
    elif relation.is_fall:
        changed = "the same rows lose less than they did on the reference"
    else:
        changed = "nothing shows that the same rows lose more than they did on the reference"
    return f"{inputs}; {changed}, {_format_part(relation)} ({_format_share(relation.amount / rise.amount)})."


def _describe_inputs(inputs: LossPart) -> str:
    if inputs.is_rise:
        return f"The rows are of a harder kind, {_format_part(inputs)}"
    if inputs.is_fall:
        return f"The rows are of an easier kind, {_format_part(inputs)}"
    return f"The rows aren't clearly of a harder kind, {_format_part(inputs)}"


def _format_share(share: float) -> str:
    return f"{round(100 * share)}%"


def _format_part(part: LossPart) -> str:
    low, high = format_number(part.low, "+"), format_number(part.high, "+")
    return f"{format_number(part.amount, '+')} ({low} to {high})"
