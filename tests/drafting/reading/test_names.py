import keyword

import dataframely as dy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.drafting.reading.names import find_name_fault, make_attributes


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("amount", "amount"),
        ("größe", "größe"),
        ("Order date", "order_date"),
        ("amount (EUR)", "amount_eur"),
        ("2019", "column_2019"),
        ("%", "column"),
        ("class", "class_"),
        ("columns", "columns_"),
        ("dt", "dt_"),
        ("_id", "id"),
        ("\ufb01eld", "field"),
    ],
)
def test_a_name_becomes_an_attribute_that_is_as_like_it_as_can_be(name, attribute):
    assert make_attributes([name]) == {name: attribute}


def test_names_that_are_attributes_keep_theirs_before_others():
    assert make_attributes(["order date", "order_date"]) == {"order date": "order_date_", "order_date": "order_date"}


@given(st.lists(st.text(min_size=1), unique=True))
def test_attributes_are_identifiers_of_their_own_that_hide_nothing(names):
    attributes = make_attributes(names)
    assert list(attributes) == names
    assert len({*attributes.values()}) == len(names)
    for attribute in attributes.values():
        assert attribute.isidentifier()
        assert not keyword.iskeyword(attribute)
        assert not hasattr(dy.Schema, attribute)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("amount (EUR)", ""),
        ("a|b", ""),
        (" ", "it has no name"),
        ("primary_key", "dataframely has a rule of this name: rename it"),
        ("a|min", "dataframely has a rule of this name: rename it"),
        ("*", "its name has quotation marks, backslashes or control characters, or is a pattern: rename it"),
        ('a"b', "its name has quotation marks, backslashes or control characters, or is a pattern: rename it"),
        ("penumbra.x", "its name begins with 'penumbra.', as those of the engine do: rename it"),
    ],
)
def test_a_name_that_no_contract_can_have_has_a_reason(name, fault):
    assert find_name_fault(name) == fault
