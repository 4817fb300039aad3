"""The form of the review page: what may be typed in by the outcome's columns, and how values are shown."""

FORM_SCRIPT = """async form => {
  const { drawFields } = await import('/review/drawing.js');
  const place = document.createElement('form'), answers = [];
  document.body.append(place);
  drawFields(place, form, label => answers.push(label));
  return [place, answers];
}"""
NUMBERS_SCRIPT = """async numbers => {
  const { formatLabel, formatValue } = await import('/review/drawing.js');
  return [...numbers.map(formatValue), formatLabel({ delay: numbers[3], reason: null })];
}"""
FORMS = [
    ({"kind": "whole", "min": -9, "max": 99}, "42", [{"delay": 42}], ""),
    ({"kind": "whole", "min": -9, "max": 99}, "4.2", [], "delay: expected a whole number, not 4.2"),
    ({"kind": "number", "min": -9, "max": 99}, "100", [], "delay: expected -9 to 99"),
    ({"kind": "number"}, "1,5", [{"delay": 1.5}], ""),
    ({"kind": "number"}, "", [], "delay: a value is needed"),
    ({"kind": "number"}, "1,000", [], "delay: expected a number, not 1,000: write a decimal point"),
    ({"kind": "number"}, "-1.25e3", [{"delay": -1250}], ""),
    ({"kind": "whole"}, "1,000", [], "delay: expected a whole number, not 1,000"),
    ({"kind": "whole"}, "1.000", [], "delay: expected a whole number, not 1.000"),
    ({"kind": "whole"}, "0x1F", [], "delay: expected a whole number, not 0x1F"),
    ({"kind": "whole"}, "9007199254740993", [], "delay: expected a whole number, not 9007199254740993"),
    ({"kind": "text"}, "2013-04-01", [{"delay": "2013-04-01"}], ""),
]


def draw_form(page, *fields):
    drawn = page.evaluate_handle(FORM_SCRIPT, [{"name": "delay", **field} for field in fields])
    return drawn.get_property("0").as_element(), drawn.get_property("1")


def test_the_form_follows_the_outcome_s_columns(open_as):
    page = open_as("kim")
    place, given = draw_form(page, {"kind": "classes", "classes": ["none", "short"]})
    assert [each.get_attribute("aria-keyshortcuts") for each in place.query_selector_all("button")] == ["1", "2"]
    place.query_selector_all("button")[1].click()
    assert given.json_value() == [{"delay": "short"}]
    for field, typed, answers, fault in FORMS:
        place, given = draw_form(page, field)
        place.query_selector("input").fill(typed)
        place.query_selector("input").press("Enter")
        assert (given.json_value(), page.locator("#answer-error").inner_text()) == (answers, fault)


def test_a_column_that_may_have_no_value_can_be_answered_with_none(open_as):
    page = open_as("lou")
    for field in ({"kind": "boolean"}, {"kind": "classes", "classes": ["null"]}, {"kind": "whole"}, {"kind": "text"}):
        place, given = draw_form(page, {**field, "nullable": True})
        place.query_selector("[aria-keyshortcuts=x]").click()
        if place.query_selector("[type=submit]"):
            page.keyboard.press("Enter")
        assert given.json_value() == [{"delay": None}]


def test_a_column_that_may_have_no_value_and_tells_no_target_begins_with_none(open_as):
    fields = [{"kind": "classes", "classes": ["none", "short"], "tells_target": True}]
    fields += [{"name": "cost", "kind": "number", "nullable": True, "tells_target": False}] * 2
    fields[2] = fields[2] | {"name": "paid"}
    place, given = draw_form(open_as("noa"), *fields)
    place.query_selector("select").select_option("short")
    place.query_selector("[aria-label='paid: no value']").click()
    place.query_selector_all("input")[1].fill("3.5")
    place.query_selector("[type=submit]").click()
    assert given.json_value() == [{"delay": "short", "cost": None, "paid": 3.5}]


def test_numbers_are_shown_with_all_digits_before_the_point_and_what_people_said_is_not_rounded(open_as):
    page = open_as("mia")
    shown = page.evaluate(NUMBERS_SCRIPT, [1234567, -2000000001, 1234567.25, 0.123456789, 51.0])
    assert shown[:5] == ["1234567", "-2000000001", "1234567", "0.123457", "51"]
    assert shown[5] == "delay 0.123456789, reason no value"
