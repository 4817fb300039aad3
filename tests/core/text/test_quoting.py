"""Text of clients: it reads much as it is, and can't act as markup, a mention, a link or a line."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.text.quoting import MAX_QUOTED_LENGTH, escape_text, list_names, quote_value


@pytest.mark.parametrize(
    "text",
    [
        "UA",
        "N/A",
        "été à München",
        "10.5 %",
        "2013-04-01 21:00:00+00:00",
        "नमस्ते",
        "a_b (c)",
        "Speed [km/h]",
        "Cost $",
        "5 $ (or 4 €)",
        "21 °C",
        "ID #",
        "ID # (new #)",
        "5 \u2013 9 km/h, ±1 ‰ …",
        "C\u00f4te d\u2019Ivoire «x»",
    ],
)
def test_usual_values_stay_as_they_are(text):
    assert escape_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b id=marker>", "\\x3cb id=marker\\x3e"),
        ("</script>", "\\x3c/script\\x3e"),
        ("a\nb\x1b[31m", "a\\x0ab\\x1b[31m"),
        ("[x](y)", "\\x5bx\\x5d(y)"),
        ("see [x][y] $HOME", "see [x\\x5d[y] \\x24HOME"),
        ("<!channel> @here", "\\x3c!channel\\x3e \\x40here"),
        ("http://a.example", "http\\x3a//a.example"),
        ("`$(x)`|{{y}}", "\\x60\\x24(x)\\x60\\x7c\\x7b\\x7by\\x7d\\x7d"),
        ("\u202eabc\u2028", "\\u202eabc\\u2028"),
        ("\U000f0000", "\\U000f0000"),
        ("# title", "\\x23 title"),
        ("- # title", "- \\x23 title"),
        ("see a #1", "see a \\x231"),
        ("\uff1cb\uff1e", "\\uff1cb\\uff1e"),
        ("\\x3c", "\\x5cx3c"),
    ],
)
def test_what_could_act_as_something_else_is_escaped(text, shown):
    assert escape_text(text) == shown


@given(st.text(st.characters()))
def test_no_text_is_markup_or_more_than_one_line_or_long(text):
    shown = escape_text(text)
    assert html.escape(shown) == shown
    assert len(("." + shown).splitlines()) == 1
    assert len(shown) <= 10 * MAX_QUOTED_LENGTH + 20


@given(st.text(), st.text())
def test_different_texts_stay_different(one, other):
    assert (escape_text(one) == escape_text(other)) == (one == other)


def test_long_texts_are_cut_and_stay_different():
    one, other = escape_text("x" * 1_000 + "1"), escape_text("x" * 1_000 + "2")
    assert one != other
    assert one.startswith("x" * 80 + "… (")
    assert len(one) == 92


def test_a_text_is_quoted_and_a_number_isn_t():
    assert (quote_value("UA"), quote_value(1.5), quote_value(None)) == ("'UA'", "1.5", "None")


def test_of_many_names_the_first_are_listed():
    assert list_names(["a", "<b>"]) == "a, \\x3cb\\x3e"
    assert list_names([]) == "none"
    assert list_names(map(str, range(25))).endswith("18, 19 and 5 more")


def test_names_that_could_be_taken_for_several_are_within_quotation_marks():
    assert list_names(["day", "a,b", " n", ""]) == "day, 'a,b', ' n', ''"
