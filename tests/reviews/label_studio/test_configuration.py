from xml.etree import ElementTree

from penumbra.reviews.label_studio.configuration import build_labelling_config
from problem import schema
from tests.reviews.label_studio.awkward_answers import CLASSES, SCHEMA


def read_controls(text: str) -> dict[str, tuple[str, list[str | None]]]:
    """Tag and choices of each control by its name."""
    controls = ElementTree.fromstring(text).iterfind("*[@toName]")
    return {each.attrib["name"]: (each.tag, [choice.get("alias") for choice in each]) for each in controls}


def test_a_number_is_asked_for_within_the_contracts_bounds_and_may_have_no_value() -> None:
    text = build_labelling_config(schema, is_blind=True)
    assert read_controls(text) == {
        "outcome arr_delay": ("Number", []),
        "none arr_delay": ("Choices", ["no value"]),
        "cannot tell": ("Choices", ["I can't tell"]),
        "sureness": ("Choices", ["sure", "likely", "guess"]),
        "note": ("TextArea", []),
    }
    (number,) = ElementTree.fromstring(text).iterfind("Number")
    assert (number.get("min"), number.get("max")) == ("-300", "3000")


def test_the_problem_s_question_stands_above_the_controls_where_it_has_one() -> None:
    headers = ElementTree.fromstring(build_labelling_config(schema, is_blind=True)).iterfind("Header")
    assert [header.get("value") for header in headers][:2] == [schema.QUESTION, "arr_delay"]
    headers = ElementTree.fromstring(build_labelling_config(SCHEMA, is_blind=True)).iterfind("Header")
    assert next(headers).get("value") == "left"


def test_every_outcome_column_is_asked_for_whatever_it_is_called() -> None:
    controls = read_controls(build_labelling_config(SCHEMA, is_blind=True))
    assert list(controls.items())[:6] == [
        ("outcome left", ("Choices", ["yes", "no"])),
        ("outcome sky", ("Choices", CLASSES)),
        ('outcome price, "net" <EUR> & more', ("Number", [])),
        ('none price, "net" <EUR> & more', ("Choices", ["no value"])),
        ("outcome remark", ("TextArea", [])),
        ("outcome tags", ("TextArea", [])),
    ]


def test_what_models_say_is_shown_only_where_reviews_are_not_blind() -> None:
    for is_blind, tables in ((True, ["$record"]), (False, ["$record", "$said"])):
        view = ElementTree.fromstring(build_labelling_config(schema, is_blind))
        assert [table.get("value") for table in view.iterfind("Table")] == tables


def test_no_word_is_taken_for_a_name_in_the_tasks_data() -> None:
    choices = ElementTree.fromstring(build_labelling_config(SCHEMA, is_blind=True)).iterfind(
        ".//Choice[@alias='$clear']"
    )
    assert [choice.get("value") for choice in choices] == ["$\u200bclear"]
