"""The settings of a project as a whole: loaded and checked once, and copied by pickle without their secrets."""

import copyreg
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from penumbra.core.project_root import SETTINGS_FILE
from penumbra.core.settings.learning_sections import (
    BacktestSettings,
    DataSettings,
    FlywheelSettings,
    GateSettings,
    LedgerSettings,
    MonitorSettings,
    PromotionSettings,
    RegistrySettings,
    ReplaySettings,
    TrainingSettings,
    UncertaintySettings,
)
from penumbra.core.settings.section import SettingsSection
from penumbra.core.settings.serving_sections import (
    ClusterSettings,
    DashboardSettings,
    LabelSettings,
    LogSettings,
    ReviewSettings,
    RuleSettings,
    ScheduleSettings,
    ScoreSettings,
    ServiceSettings,
    ShadowSettings,
)
from penumbra.core.settings.sources import ENV_PREFIX, PROJECT_ROOT, SettingsError, read_setting_values
from penumbra.core.text.masking import mask_address, mask_settings, mask_webhook


class Settings(SettingsSection):
    """Every setting of the project, by section."""

    data: DataSettings
    training: TrainingSettings
    uncertainty: UncertaintySettings
    registry: RegistrySettings
    service: ServiceSettings
    rules: RuleSettings
    log: LogSettings
    shadow: ShadowSettings
    labels: LabelSettings
    review: ReviewSettings
    flywheel: FlywheelSettings
    ledger: LedgerSettings
    gate: GateSettings
    promotion: PromotionSettings
    monitor: MonitorSettings
    schedule: ScheduleSettings
    score: ScoreSettings
    cluster: ClusterSettings
    dashboard: DashboardSettings
    backtest: BacktestSettings
    replay: ReplaySettings

    def limit_segment_hours(self, hours: float) -> float:
        """Limit the age at which a log's segment is closed.

        Args:
            hours: The age, in hours, for a machine that shares its logs with no other.

        Returns:
            That age, or `cluster.ship_minutes` where segments are shipped as they are closed, if that is less.
        """
        return min(hours, self.cluster.ship_minutes / 60) if self.cluster.state else hours

    def describe_sections(self, *sections: str) -> dict[str, Any]:
        """Describe settings for records and for people, with the secrets in addresses masked.

        Args:
            sections: The names of the sections; all if none is named.

        Returns:
            The settings of each section by name, of JSON's types.
        """
        return dict(mask_settings(self.model_dump(mode="json", include=set(sections) or None)))


def load_settings(path: Path = PROJECT_ROOT / SETTINGS_FILE, environ: dict[str, str] | None = None) -> Settings:
    """Read and check the settings once; flows and the service pass the result on as an argument.

    Args:
        path: The file; by default settings.toml in the project's folder.
        environ: Environment variables, of which `PENUMBRA_SECTION__KEY` override the file; None for the process' own.

    Returns:
        The settings, frozen.

    Raises:
        SettingsError: The file is missing or no TOML, a key is unknown or missing, or a value is out of range; all
            faults are named, each with its source and what was expected.
    """
    values, overridden = read_setting_values(path, os.environ if environ is None else environ)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_format_errors(error, path, overridden)) from None


def _format_errors(error: ValidationError, path: Path, overridden: set[tuple[str, ...]]) -> str:
    return "; ".join(_format_error(item, path, overridden) for item in error.errors())


def _format_error(item: Any, path: Path, overridden: set[tuple[str, ...]]) -> str:
    keys = tuple(str(key) for key in item["loc"])
    variable = next((ENV_PREFIX + "__".join(name).upper() for name in overridden if name[: len(keys)] == keys[:2]), "")
    source = f"environment variable {variable}" if variable else str(path)
    if item["type"] == "missing":
        return f"{source}: setting {'.'.join(keys)} is missing"
    if item["type"] == "extra_forbidden":
        return f"{source}: unknown setting {'.'.join(keys)}"
    shown = mask_settings({keys[-1]: item["input"]})[keys[-1]]
    message = item["msg"].removeprefix("Value error, ")
    return f"{source}: {'.'.join(keys)} = {shown!r}: {message[0].lower()}{message[1:]}"


def _restore_section(section: type[SettingsSection], values: dict[str, Any], is_masked: bool) -> SettingsSection:
    """Read a pickled section, with the secrets of the settings of this process."""
    if is_masked:
        settings = load_settings()
        own = settings if section is Settings else next(each for _, each in settings if type(each) is section)
        values = _unmask(values, own.model_dump(mode="json"))
    return section.model_validate(values)


def _unmask(values: Any, own: Any) -> Any:
    """The values with those of `own` where they are the same but for their masks."""
    if isinstance(values, dict):
        return {key: _unmask(value, own[key]) for key, value in values.items()}
    return own if values in (mask_address(str(own)), mask_webhook(str(own))) else values


def _reduce_section(section: SettingsSection) -> tuple[Any, ...]:
    """Pickle without secrets: whoever reads the copy takes them from its own settings, and must have the same."""
    values = section.model_dump(mode="json")
    masked = mask_settings(values)
    return _restore_section, (type(section), masked, masked != values)


for section_type in SettingsSection.__subclasses__():
    copyreg.pickle(section_type, _reduce_section)
