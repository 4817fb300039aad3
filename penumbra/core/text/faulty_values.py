"""The words for what is wrong with a value: what it is, and what was expected."""

from collections.abc import Collection
from typing import Any

MAX_SHOWN_VALUE_LENGTH = 100
EXPECTED_BY_ERROR_TYPE = {
    "missing": "a value: the field is required",
    "missing_nullable": "a value or null: the field is required",
    "timezone_aware": "a date and time with its offset from UTC, such as 2024-04-01T21:00:00Z",
    "timezone_naive": "a date and time without an offset, such as 2024-04-01T21:00:00, or a date such as 2024-04-01",
    "datetime_from_date_parsing": "a date and time of the calendar in ISO 8601, such as 2024-04-01T21:00:00, with an "
    "offset where the field is an instant",
    "date_from_datetime_parsing": "a valid date of the calendar in the format YYYY-MM-DD",
    "time_type": "a time of day, such as 12:30:00",
    "time_parsing": "a time of day, such as 12:30:00",
    "time_delta_type": "a duration in ISO 8601, such as PT1H30M",
    "time_delta_parsing": "a duration in ISO 8601, such as PT1H30M",
    "bytes_type": "bytes in Base64, such as AP8=",
    "bytes_invalid_encoding": "bytes in Base64, such as AP8=",
    "extra_forbidden": "no field of this name",
    "bool_type": "true or false, not text or a number",
    "bool_parsing": "true or false, not text or a number",
    "model_type": "an object with the fields of one record",
}


def describe_expected_value(item: Any, nullable: Collection[str] = ()) -> str:
    """Describe what a value should have been.

    Args:
        item: One of a `ValidationError`'s errors.
        nullable: The fields of which null is a value.

    Returns:
        Words that complete "expected …".
    """
    message: str = item["msg"]
    is_nullable = item["type"] == "missing" and item["loc"] in [(name,) for name in nullable]
    kind = "missing_nullable" if is_nullable else item["type"]
    return EXPECTED_BY_ERROR_TYPE.get(kind, message.removeprefix("Input should be ").removeprefix("Input should "))


def format_shown_value(value: Any) -> str:
    """Return the first hundred characters of a `value` as Python writes it, to be shown to whoever sent it."""
    try:
        return repr(value)[:MAX_SHOWN_VALUE_LENGTH]
    except ValueError:  # Python prints no integers of more than 4,300 digits
        return "a number too long to show"
