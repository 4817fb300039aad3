"""What the sections of settings.toml have in common."""

from pydantic import BaseModel, ConfigDict

from penumbra.core.text.masking import mask_settings


class SettingsSection(BaseModel):
    """A section of settings.toml; the comments there say what each setting means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __repr__(self) -> str:
        """Show all values with their secrets masked, as in a traceback or on a card."""
        return f"{type(self).__name__}({mask_settings(self.model_dump(mode='json'))})"

    __str__ = __repr__
