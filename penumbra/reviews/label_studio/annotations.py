"""Annotations of Label Studio, from its export in the format JSON, as answers to the cases of their tasks."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import quote

import msgspec
import polars as pl

from penumbra.core.problem import ProblemSchema
from penumbra.core.text.faulty_values import format_shown_value
from penumbra.logs.labels import LabelSpec
from penumbra.reviews.answer_checks import ReviewRefused
from penumbra.reviews.label_form import YES_NO
from penumbra.reviews.label_studio.configuration import (
    CANNOT_TELL,
    NO_VALUE,
    NONE_PREFIX,
    NOTE,
    OUTCOME_PREFIX,
    SURENESS,
)
from penumbra.reviews.label_studio.tasks import CASE
from penumbra.reviews.records import ReviewAction, Sureness

VIA = "label studio"
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)  # what msgspec raises for what isn't JSON of that type
TRUTH_BY_CHOICE = {YES_NO[truth]: truth for truth in (True, False)}
EXPECTED_EXPORT = "expected an export of Label Studio in its format JSON (JSON-MIN lacks what was skipped)"


class LabelStudioRegion(msgspec.Struct):
    """What one control of an annotation says; `from_name` is the control's name, "" of what isn't a control's."""

    from_name: str = ""
    value: Mapping[str, Any] = {}


class LabelStudioAnnotation(msgspec.Struct):
    """One person's annotation of a task, as Label Studio exports it; `completed_by` is an id, or a user with one."""

    id: int
    completed_by: Any
    result: Sequence[LabelStudioRegion]
    updated_at: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    was_cancelled: bool = False
    lead_time: float | None = None
    unique_id: str | None = None


class LabelStudioTask(msgspec.Struct):
    """One task, as Label Studio exports it; its annotations are decoded one by one."""

    id: int
    data: Mapping[str, Any]
    annotations: Sequence[msgspec.Raw]


@dataclass(frozen=True)
class ReviewerNames:
    """Who the annotators are.

    Attributes:
        by_annotator: Names by a user's id or address in Label Studio.
        everyone: The name of all others; "" where there are none.
    """

    by_annotator: Mapping[str, str]
    everyone: str = ""

    def find_name(self, completed_by: Any) -> str:
        """Find the name of who completed an annotation.

        Args:
            completed_by: As in `LabelStudioAnnotation`.

        Returns:
            The reviewer's name.

        Raises:
            ReviewRefused: Nobody said who that is.
        """
        user = completed_by if isinstance(completed_by, Mapping) else {"id": completed_by}
        keys = [str(user[key]) for key in ("email", "id") if key in user]
        if name := next((self.by_annotator[key] for key in keys if key in self.by_annotator), self.everyone):
            return name
        if not keys:
            raise ReviewRefused("it was completed by nobody: expected an annotator")
        raise ReviewRefused(f"it was completed by {keys[0]}: expected a name for that annotator (--map {keys[0]}=NAME)")


@dataclass(frozen=True)
class AnnotationOfCase:
    """One annotation as an action.

    Attributes:
        place: Where it stands: "task 7, annotation 3".
        action: The action; or why there is none.
        ignored: The names of controls that aren't the labelling configuration's.
    """

    place: str
    action: ReviewAction | ReviewRefused
    ignored: frozenset[str] = frozenset()


def read_annotations(path: Path, schema: ProblemSchema, names: ReviewerNames) -> list[AnnotationOfCase]:
    """Read the annotations of an export of Label Studio.

    Args:
        path: The file, in Label Studio's format JSON.
        schema: The problem's schema.
        names: Who the annotators are.

    Returns:
        All annotations, those that can't be read first, then the earliest.

    Raises:
        ReviewRefused: The file isn't such an export.
        OSError: It can't be read.
    """
    try:
        tasks = msgspec.json.decode(path.read_bytes(), type=list[LabelStudioTask])
    except UNREADABLE as error:
        raise ReviewRefused(f"{path}: {error}: {EXPECTED_EXPORT}") from None
    outcome = LabelSpec.from_schema(schema).outcome
    found = [_read_annotation(task, raw, outcome, names) for task in tasks for raw in task.annotations]
    return sorted(found, key=lambda each: each.action.time.timestamp() if isinstance(each.action, ReviewAction) else 0)


def _read_annotation(
    task: LabelStudioTask, raw: msgspec.Raw, outcome: Mapping[str, Any], names: ReviewerNames
) -> AnnotationOfCase:
    place = f"task {task.id}"
    try:
        annotation = msgspec.json.decode(raw, type=LabelStudioAnnotation)
        place += f", annotation {annotation.id}"
        values = dict(_read_values(annotation.result))
        action = _make_action(str(task.data.get(CASE)), annotation, values, outcome, names)
    except UNREADABLE as error:
        return AnnotationOfCase(place, ReviewRefused(str(error)))
    except ReviewRefused as error:
        return AnnotationOfCase(place, error)
    return AnnotationOfCase(place, action, frozenset(values) - _list_controls(outcome))


def _list_controls(outcome: Mapping[str, Any]) -> set[str]:
    controls = {prefix + name for name in outcome for prefix in (OUTCOME_PREFIX, NONE_PREFIX)}
    return controls | {CANNOT_TELL, SURENESS, NOTE}


def _read_values(regions: Sequence[LabelStudioRegion]) -> Iterator[tuple[str, Any]]:
    """Names of controls with what they say, for each that says anything."""
    for region in regions:
        for kind in ("choices", "text", "number"):
            given = region.value.get(kind)
            if given not in (None, [], ""):
                yield region.from_name, "\n".join(map(str, given)) if isinstance(given, list) else given


def _make_action(
    case: str,
    annotation: LabelStudioAnnotation,
    values: Mapping[str, Any],
    outcome: Mapping[str, Any],
    names: ReviewerNames,
) -> ReviewAction:
    label = dict(_read_label(values, outcome))
    if label and CANNOT_TELL in values:
        raise ReviewRefused(f"it says {values[CANNOT_TELL]!r} and {label}: expected one of the two")
    if annotation.was_cancelled:
        label = {}
    return ReviewAction(
        case,
        names.find_name(annotation.completed_by),
        "skip" if annotation.was_cancelled else "cannot_tell" if CANNOT_TELL in values else "answer",
        _convert_time(annotation.updated_at),
        label,
        _read_sureness(values.get(SURENESS, "")),
        str(values.get(NOTE, "")),
        VIA,
        f"{quote(annotation.unique_id or str(annotation.id))} {annotation.updated_at.isoformat()}",
        annotation.lead_time or 0.0,
    )


def _convert_time(time: dt.datetime) -> dt.datetime:
    try:
        return time.astimezone(dt.UTC)
    except OverflowError:
        raise ReviewRefused(f"it was updated at {time.isoformat()}: expected a time that UTC has, too") from None


def _read_label(values: Mapping[str, Any], outcome: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, dtype in outcome.items():
        given, is_none = values.get(OUTCOME_PREFIX + name), NONE_PREFIX + name in values
        if given is not None and is_none:
            raise ReviewRefused(f"{name} is {format_shown_value(given)} and {NO_VALUE!r}: expected one of the two")
        if given is not None or is_none:
            yield name, _convert_value(given, dtype)


def _convert_value(given: Any, dtype: pl.DataType) -> Any:
    """What a control says as JSON of the column's dtype; what can't be one stays, for the contract to refuse."""
    if dtype == pl.Boolean:
        return TRUTH_BY_CHOICE.get(str(given), given)
    if isinstance(given, str) and not isinstance(dtype, pl.String | pl.Enum):
        try:
            return msgspec.json.decode(given)
        except msgspec.DecodeError:
            return given
    return given


def _read_sureness(given: Any) -> Sureness:
    if given in get_args(Sureness):
        return given
    raise ReviewRefused(
        f"{SURENESS} is {format_shown_value(given)}: expected {', '.join(filter(None, get_args(Sureness)))}"
    )
