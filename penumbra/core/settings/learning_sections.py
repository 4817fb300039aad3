"""The sections of what is learnt, recorded and decided: data, training, gate, promotion and monitoring."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from penumbra.core.settings.section import SettingsSection
from penumbra.core.settings.setting_types import (
    DateSetting,
    FlywheelPeriod,
    LossSetting,
    PhraseListSetting,
    PublicKeysSetting,
    RecordedAddressSetting,
    WebAddressSetting,
    WordListSetting,
)


class DataSettings(SettingsSection):
    """Section [data]."""

    today: DateSetting
    folder: Path
    derived: Path
    remote: str
    commit: bool
    bad_row_share: float = Field(ge=0, le=1)


class FlywheelSettings(SettingsSection):
    """Section [flywheel]."""

    period: FlywheelPeriod


class TrainingSettings(SettingsSection):
    """Section [training]."""

    candidates: WordListSetting = Field(min_length=1)
    quick_rows: int = Field(ge=100)
    validation_batches: int = Field(ge=1)
    test_batches: int = Field(ge=1)
    threshold: float = Field(gt=0, lt=1)
    folder: Path
    failures: Path


class UncertaintySettings(SettingsSection):
    """Section [uncertainty]."""

    coverage: float = Field(gt=0, lt=1)
    method: Literal["split", "cross"]
    strata: bool


class RegistrySettings(SettingsSection):
    """Section [registry]."""

    tracking: str
    artifacts: RecordedAddressSetting
    model: str = Field(min_length=1)
    signed_by: PublicKeysSetting


class LedgerSettings(SettingsSection):
    """Section [ledger]."""

    folder: Path


class GateSettings(SettingsSection):
    """Section [gate]."""

    confidence: float = Field(ge=0.5, lt=1)
    min_days: int = Field(ge=10)
    margin_share: float = Field(ge=0, lt=1)
    slice_margin_share: float = Field(ge=0, lt=1)
    fairness_limit: float = Field(gt=0)
    fairness_margin: float = Field(ge=0)
    calibration: float = Field(gt=0)
    latency_us: float = Field(gt=0)
    size_mb: float = Field(gt=0)
    accept: WordListSetting


class PromotionSettings(SettingsSection):
    """Section [promotion]."""

    loss: LossSetting
    loss_ceiling: float = Field(gt=0)
    block_days: int = Field(ge=1)
    coverage: float = Field(gt=0, le=1)
    promote_level: float = Field(gt=0, lt=1)
    harm_level: float = Field(gt=0, lt=1)
    seen_days: int = Field(ge=1)
    shadow_days: int = Field(ge=1)
    margin_share: float = Field(ge=0, lt=1)
    error_share: float = Field(ge=0, le=1)
    score_distance: float = Field(gt=0, le=1)
    latency_ms: float = Field(gt=0)
    canary_share: float = Field(ge=0, le=0.5)
    canary_days: int = Field(ge=1)
    approve: Literal["rule", "people"]
    approvers: int = Field(ge=1, le=2)
    approval_days: int = Field(ge=1)


class MonitorSettings(SettingsSection):
    """Section [monitor]."""

    folder: Path
    window_days: int = Field(ge=1)
    one_in: int = Field(ge=2)
    on_faults: bool
    on_drift: bool
    on_loss: bool
    every_days: int = Field(ge=0)
    cooldown_days: int = Field(ge=0)
    max_retrains: int = Field(ge=0)
    period_days: int = Field(ge=1)
    approve: Literal["rule", "people"]
    accept: PhraseListSetting
    webhook: WebAddressSetting


class BacktestSettings(SettingsSection):
    """Section [backtest]."""

    folder: Path
    hindsight_days: int = Field(ge=1)
    tolerance: float = Field(ge=0)


class ReplaySettings(SettingsSection):
    """Section [replay]."""

    folder: Path
    candidate: str
    seed: int
    reviews_per_day: int = Field(ge=0)
    reviewer_error: float = Field(ge=0, le=1)
