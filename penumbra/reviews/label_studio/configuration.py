"""The labelling configuration: what Label Studio shows of a task, and what it asks, by the problem's contract.

The names of its controls are "outcome NAME" for each outcome column of the contract, "none NAME" beside those that may
be null, "cannot tell", "sureness" and "note".
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args
from xml.etree import ElementTree

from penumbra.core.problem import ProblemSchema
from penumbra.reviews.label_form import YES_NO, build_label_form
from penumbra.reviews.records import Sureness

RECORD, SAID = "record", "said"  # of a task's data: the row, and what models and rules say of it
OUTCOME_PREFIX, NONE_PREFIX = "outcome ", "none "
CANNOT_TELL, SURENESS, NOTE = "cannot tell", "sureness", "note"
NO_VALUE, CANNOT_TELL_CHOICE = "no value", "I can't tell"


def build_labelling_config(schema: ProblemSchema, is_blind: bool) -> str:
    """Build the labelling configuration.

    Args:
        schema: The problem's schema.
        is_blind: Whether what models and rules say is hidden.

    Returns:
        XML, to be pasted into a project's settings in Label Studio.
    """
    view = ElementTree.Element("View")
    for name in [RECORD] if is_blind else [RECORD, SAID]:
        ElementTree.SubElement(view, "Table", name=name, value=f"${name}")
    if schema.QUESTION:
        ElementTree.SubElement(view, "Header", value=_write_literally(schema.QUESTION))
    for field in build_label_form(schema):
        name = field["name"]
        ElementTree.SubElement(view, "Header", value=_write_literally(name))
        _add_outcome_control(view, field)
        if field["nullable"]:
            _add_choices(view, NONE_PREFIX + name, [NO_VALUE])
    _add_choices(view, CANNOT_TELL, [CANNOT_TELL_CHOICE])
    ElementTree.SubElement(view, "Header", value="How sure are you?")
    _add_choices(view, SURENESS, filter(None, get_args(Sureness)))
    _add_control(view, "TextArea", NOTE, placeholder="A note", maxSubmissions="1")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _add_outcome_control(view: ElementTree.Element, field: Mapping[str, Any]) -> None:
    name = OUTCOME_PREFIX + field["name"]
    match field["kind"]:
        case "boolean":
            _add_choices(view, name, [YES_NO[True], YES_NO[False]])
        case "classes":
            _add_choices(view, name, field["classes"])
        case "text":
            _add_control(view, "TextArea", name, maxSubmissions="1")
        case _:
            bounds = {bound: str(field[bound]) for bound in ("min", "max") if bound in field}
            _add_control(view, "Number", name, **bounds)


def _add_choices(view: ElementTree.Element, name: str, choices: Iterable[str]) -> None:
    control = _add_control(view, "Choices", name, choice="single", showInline="true")
    for choice in choices:
        ElementTree.SubElement(control, "Choice", value=_write_literally(choice), alias=choice)


def _add_control(view: ElementTree.Element, tag: str, name: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(view, tag, {"name": name, "toName": RECORD, **attributes})


def _write_literally(text: str) -> str:
    """Keep Label Studio from putting a task's data in the place of "$" and a word: a blank without width parts them."""
    return text.replace("$", "$\u200b")
