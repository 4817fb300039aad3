"""Models of pydantic for records by column."""

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, create_model

from penumbra.core.contract.record_fields import name_fields

STRICT_CONFIG: Any = {"strict": True, "extra": "forbid", "allow_inf_nan": False, "val_json_bytes": "base64"}


class NamedModel(BaseModel):
    """A pydantic model whose fields are columns of any name, such as "model_config", "_a" or "amount (EUR)".

    Attributes:
        names: The columns.
        nullable: Those of which null is a value.
    """

    names: ClassVar[tuple[str, ...]]
    nullable: ClassVar[frozenset[str]]

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
    fields = zip(model.names, model.model_fields.values(), strict=True)
    model.nullable = frozenset(name for name, field in fields if type(None) in get_args(field.annotation))
    return model
