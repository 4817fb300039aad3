"""`settings.toml` as one frozen, typed object; environment variables `PENUMBRA_SECTION__KEY` override it."""

from penumbra.core.project_root import API_KEY_PREFIX, ENV_PREFIX
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
from penumbra.core.settings.project_settings import Settings, load_settings
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
from penumbra.core.settings.setting_types import ED25519_PREFIX, FlywheelPeriod
from penumbra.core.settings.sources import (
    PROJECT_ROOT,
    SettingsError,
    find_setting_source,
    find_setting_variable,
    list_setting_variables,
    remove_api_keys,
)

__all__ = [
    "API_KEY_PREFIX",
    "ED25519_PREFIX",
    "ENV_PREFIX",
    "PROJECT_ROOT",
    "BacktestSettings",
    "ClusterSettings",
    "DashboardSettings",
    "DataSettings",
    "FlywheelPeriod",
    "FlywheelSettings",
    "GateSettings",
    "LabelSettings",
    "LedgerSettings",
    "LogSettings",
    "MonitorSettings",
    "PromotionSettings",
    "RegistrySettings",
    "ReplaySettings",
    "ReviewSettings",
    "RuleSettings",
    "ScheduleSettings",
    "ScoreSettings",
    "ServiceSettings",
    "Settings",
    "SettingsError",
    "ShadowSettings",
    "TrainingSettings",
    "UncertaintySettings",
    "find_setting_source",
    "find_setting_variable",
    "list_setting_variables",
    "load_settings",
    "remove_api_keys",
]
