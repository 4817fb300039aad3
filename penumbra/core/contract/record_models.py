"""Models of pydantic for records by column, and the words for what is wrong with a value."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, create_model

from penumbra.core.contract.record_fields import name_fields

STRICT_CONFIG: Any = {"strict": True, "extra": "forbid", "allow_inf_nan": False, "val_json_bytes": "base64"}
MAX_SHOWN_VALUE_LENGTH = 100
EXPECTED_BY_ERROR_TYPE = {
    "missing": "a value: the field is required",
    "timezone_aware": "a date and time with its offset from UTC, such as 2024-04-01T21:00:00Z",
    "timezone_naive": "a date and time without an offset, such as 2024-04-01T21:00:00",
    "extra_forbidden": "no field of this name",
    "model_type": "an object with the fields of one record",
}


class NamedModel(BaseModel):
    """A pydantic model whose fields are columns of any name, such as "model_config", "_a" or "amount (EUR)"."""

    names: ClassVar[tuple[str, ...]]

    @property
    def values(self) -> dict[str, Any]:
        """The values by column."""
        return dict(zip(self.names, self.__dict__.values(), strict=True))


def create_named_model(
    name: str, base: type[NamedModel], doc: str | None, columns: Mapping[str, tuple[Any, Any]]
) -> type[NamedModel]:
    """Create a pydantic model whose fields have any names.

    Args:
        name: The model's name.
        base: Its base, with the configuration and validators.
        doc: Its docstring.
        columns: Annotation and default by name; the name is the field's alias.

    Returns:
        The model.
    """
    model = create_model(name, __base__=base, __doc__=doc, **name_fields(columns))
    model.names = tuple(columns)
    return model


def describe_expected_value(item: Any) -> str:
    """Describe what a value should have been.

    Args:
        item: One of a `ValidationError`'s errors.

    Returns:
        Words that complete "expected …".
    """
    message: str = item["msg"]
    return EXPECTED_BY_ERROR_TYPE.get(
        item["type"], message.removeprefix("Input should be ").removeprefix("Input should ")
    )


def format_shown_value(value: Any) -> str:
    """Return the first hundred characters of a `value` as Python writes it, to be shown to whoever sent it."""
    try:
        return repr(value)[:MAX_SHOWN_VALUE_LENGTH]
    except ValueError:  # Python prints no integers of more than 4,300 digits
        return "a number too long to show"
