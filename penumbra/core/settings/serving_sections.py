"""The sections of what runs all the time: service, shadow, logs, labels, people's pages and the cluster."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from penumbra.core.settings.section import SettingsSection
from penumbra.core.settings.setting_types import (
    ImageSetting,
    KubernetesName,
    OptionalTimeSetting,
    RecordedAddressSetting,
    SecretNamesSetting,
    StateAddressSetting,
    TimeSetting,
    WebAddressSetting,
    WordListSetting,
)


class ServiceSettings(SettingsSection):
    """Section [service]."""

    host: str
    port: int = Field(ge=1, le=65535)
    workers: int = Field(ge=1)
    max_records: int = Field(ge=1)
    max_body_bytes: int = Field(ge=1024)
    max_concurrency: int = Field(ge=1)
    timeout_seconds: float = Field(gt=0)
    max_connections: int = Field(ge=16)
    keep_alive_seconds: float = Field(gt=0)
    hang_seconds: float = Field(ge=0.5)
    idempotency_minutes: float = Field(gt=0)
    open: bool
    poll_seconds: float = Field(gt=0)
    state: Path
    predictions: Path

    @property
    def shadow_log(self) -> Path:
        """The shadow log, beside the prediction log."""
        return self.predictions.with_name("shadow")


class LogSettings(SettingsSection):
    """Section [log]."""

    segment_mb: float = Field(gt=0)
    segment_hours: float = Field(gt=0)
    archive: RecordedAddressSetting
    max_lag_hours: float = Field(gt=0)
    keep_days: float = Field(ge=0)


class ShadowSettings(SettingsSection):
    """Section [shadow]."""

    enabled: bool
    batch_rows: int = Field(ge=1)
    timeout_seconds: float = Field(gt=0)
    max_lag_seconds: float = Field(gt=0)
    memory_mb: float = Field(gt=0)
    catch_up_hours: float = Field(gt=0)
    niceness: int = Field(ge=0, le=19)


class RuleSettings(SettingsSection):
    """Section [rules]."""

    apply: bool
    on_error: Literal["model", "review", "baseline"]
    explore_share: float = Field(ge=0, lt=1)


class LabelSettings(SettingsSection):
    """Section [labels]."""

    folder: Path
    max_lag_seconds: float = Field(gt=0)
    delay_hours: float = Field(ge=0)


class ReviewSettings(SettingsSection):
    """Section [review]."""

    folder: Path
    per_day: int = Field(ge=0)
    chance_share: float = Field(gt=0, le=1)
    double_share: float = Field(ge=0, le=1)
    every_minutes: float = Field(gt=0)
    blind: bool
    webhook: WebAddressSetting


class ScheduleSettings(SettingsSection):
    """Section [schedule]."""

    ingest: TimeSetting
    monitor: TimeSetting
    promote: TimeSetting
    score: OptionalTimeSetting


class ScoreSettings(SettingsSection):
    """Section [score]."""

    input: str
    output: str
    database: str
    folder: Path
    part_rows: int = Field(ge=1, le=1_000_000)


class ClusterSettings(SettingsSection):
    """Section [cluster]."""

    state: StateAddressSetting
    ship_minutes: float = Field(gt=0)
    image: ImageSetting
    namespace: KubernetesName
    service_account: KubernetesName
    secrets: SecretNamesSetting
    cpu: float = Field(gt=0)
    memory_mb: int = Field(ge=256)
    fit_cpu: float = Field(gt=0)
    fit_memory_mb: int = Field(ge=256)
    fit_gpu: int = Field(ge=0)
    parallel_pods: int = Field(ge=1)
    retry_seconds: float = Field(ge=0)


class DashboardSettings(SettingsSection):
    """Section [dashboard]."""

    host: str
    hosts: WordListSetting
    first_port: int = Field(ge=1, le=65533)
