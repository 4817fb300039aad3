"""`settings.toml` as one frozen, typed object; environment variables `PENUMBRA_SECTION__KEY` override it."""

import base64
import binascii
import datetime as dt
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from penumbra.core.metrics.loss_names import require_loss_name
from penumbra.core.project_root import SETTINGS_FILE, find_project_root
from penumbra.core.text.errors import LastingRefusal
from penumbra.core.text.masking import mask_address, mask_settings, mask_webhook

PROJECT_ROOT = find_project_root()
ENV_PREFIX = "PENUMBRA_"
API_KEY_PREFIX = ENV_PREFIX + "KEYS__"  # no settings: see service/http/access/access_control.py
LINK_ADDRESS = re.compile(r"(tcp|udp|sctp)://")  # of a Service, which Kubernetes gives to each pod of its namespace
LINK_SUFFIX = re.compile(r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9]\w*)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")
UNSHARED_SCHEMES = ("memory", "http", "https", "data", "local")  # nothing that machines share, or can write to
ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")  # of a public key in DER, before its 32 bytes


class SettingsError(LastingRefusal):
    """A setting is unknown or has a value that can't be used; names the setting, its source and what was expected."""


class SettingsSection(BaseModel):
    """A section of settings.toml; the comments there say what each setting means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __repr__(self) -> str:
        """Show all values with their secrets masked, as in a traceback or on a card."""
        return f"{type(self).__name__}({mask_settings(self.model_dump(mode='json'))})"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without secrets: whoever reads the copy takes them from its own settings, and must have the same."""
        values = self.model_dump(mode="json")
        masked = mask_settings(values)
        return _restore_section, (type(self), masked, masked != values)


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


def _split_words(value: Any) -> Any:
    """Split a list that comes from the environment: a JSON list, or words with commas or spaces between them."""
    given = _parse_json_list(value)
    return given.replace(",", " ").split() if isinstance(given, str) else given


def _split_phrases(value: Any) -> Any:
    """Split a list that comes from the environment: a JSON list, or phrases with commas between them."""
    given = _parse_json_list(value)
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


def _parse_json_list(value: Any) -> Any:
    """The list in text such as '["a", "b"]', the form of settings.toml; anything else stays as it is."""
    if not isinstance(value, str) or not value.strip().startswith("["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('expected a list such as ["a", "b"], or a,b') from None


def _resolve_today(value: Any) -> Any:
    """Replace "now" by the present day in UTC."""
    return dt.datetime.now(dt.UTC).date() if value == "now" else value


def _parse_time(value: Any) -> Any:
    """The time of day in "02:05"; a time that was parsed before stays."""
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return dt.time.fromisoformat(value)
    if isinstance(value, dt.time):
        return value
    raise ValueError('expected a time of day as "HH:MM", from "00:00" to "23:59"')


def _require_no_secret(address: str) -> str:
    """Refuse an address with a secret where the address itself becomes part of records."""
    if mask_address(address) != address:
        raise ValueError(
            "this address is recorded with every file that is kept there, so it can't carry a password or token: give "
            "the store's credentials to its client (AWS_ACCESS_KEY_ID and its kin, or FSSPEC_… for other stores)"
        )
    return address


def _normalize_state(address: str) -> str:
    """The address of a shared state with single slashes, and none at its end; "" for none."""
    scheme, separator, rest = address.rpartition("://")
    path = re.sub("/+", "/", rest).rstrip("/")
    is_folder = scheme in ("", "file")
    is_known = re.fullmatch("[a-z0-9+.-]*", scheme) and scheme not in UNSHARED_SCHEMES
    if address and not (is_known and path and path.startswith("/") == is_folder and not re.search(r"[\s*?\[\]]", path)):
        raise ValueError(
            'expected an absolute folder, or a store that machines share with its bucket, such as "s3://bucket/path", '
            'without blanks and any of *?[]; "" for none'
        )
    return scheme + separator + path


def _require_web_address(address: str) -> str:
    if address and not re.fullmatch(r"https?://[^\s/?#]+\S*", address):
        raise ValueError('expected an address that begins with "https://" or "http://", without blanks; "" for none')
    return address


DateSetting = Annotated[dt.date, BeforeValidator(_resolve_today)]
TimeSetting = Annotated[
    dt.time, BeforeValidator(_parse_time), PlainSerializer(lambda time: f"{time:%H:%M}", return_type=str)
]


def _require_public_keys(keys: list[str]) -> list[str]:
    for key in keys:
        try:
            der = base64.b64decode(key, validate=True)
        except binascii.Error:
            der = b""
        if not der.startswith(ED25519_PREFIX) or len(der) != len(ED25519_PREFIX) + 32:
            raise ValueError(
                "expected Ed25519 public keys, each the middle line of what `openssl pkey -in KEY.pem -pubout` prints"
            )
    return keys


RecordedAddressSetting = Annotated[str, AfterValidator(_require_no_secret)]
WebAddressSetting = Annotated[str, AfterValidator(_require_web_address)]
WordListSetting = Annotated[list[str], BeforeValidator(_split_words)]
PublicKeysSetting = Annotated[WordListSetting, AfterValidator(_require_public_keys)]
FlywheelPeriod = Literal["", "day", "week", "month"]
LossSetting = Annotated[str, AfterValidator(require_loss_name)]
KUBERNETES_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
IMAGE_NAME = r"^([A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(/[a-z0-9._-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?)?$"
KubernetesName = Annotated[str, Field(pattern=KUBERNETES_NAME)]
PhraseListSetting = Annotated[list[str], BeforeValidator(_split_phrases)]


class DataSettings(SettingsSection):
    """Section [data]."""

    today: DateSetting
    folder: Path
    derived: Path
    remote: str
    commit: bool
    bad_row_share: float = Field(ge=0, le=1)


class TrainingSettings(SettingsSection):
    """Section [training]."""

    candidates: WordListSetting = Field(min_length=1)
    quick_rows: int = Field(ge=100)
    validation_batches: int = Field(ge=1)
    test_batches: int = Field(ge=1)
    threshold: float = Field(gt=0, lt=1)
    folder: Path
    failures: Path


class RegistrySettings(SettingsSection):
    """Section [registry]."""

    tracking: str
    artifacts: RecordedAddressSetting
    model: str = Field(min_length=1)
    signed_by: PublicKeysSetting


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


class RuleSettings(SettingsSection):
    """Section [rules]."""

    apply: bool
    on_error: Literal["model", "review", "baseline"]
    explore_share: float = Field(ge=0, lt=1)


class LabelSettings(SettingsSection):
    """Section [labels]."""

    folder: Path
    max_lag_seconds: float = Field(gt=0)
    delay_hours: float = Field(gt=0)


class ReviewSettings(SettingsSection):
    """Section [review]."""

    folder: Path
    per_day: int = Field(ge=0)
    chance_share: float = Field(gt=0, le=1)
    double_share: float = Field(ge=0, le=1)
    every_minutes: float = Field(gt=0)
    blind: bool
    webhook: WebAddressSetting


class FlywheelSettings(SettingsSection):
    """Section [flywheel]."""

    period: FlywheelPeriod


class LedgerSettings(SettingsSection):
    """Section [ledger]."""

    folder: Path


class GateSettings(SettingsSection):
    """Section [gate]."""

    confidence: float = Field(ge=0.5, lt=1)
    min_days: int = Field(ge=10)
    margin_share: float = Field(ge=0, lt=1)
    slice_margin_share: float = Field(ge=0, lt=1)
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


class ScheduleSettings(SettingsSection):
    """Section [schedule]."""

    ingest: TimeSetting
    monitor: TimeSetting
    promote: TimeSetting


class ClusterSettings(SettingsSection):
    """Section [cluster]."""

    state: Annotated[RecordedAddressSetting, AfterValidator(_normalize_state)]
    ship_minutes: float = Field(gt=0)
    image: str = Field(pattern=IMAGE_NAME)
    namespace: str = Field(pattern=KUBERNETES_NAME)
    service_account: str = Field(pattern=KUBERNETES_NAME)
    secrets: Annotated[list[KubernetesName], BeforeValidator(_split_words)]
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


class Settings(SettingsSection):
    """Every setting of the project, by section."""

    data: DataSettings
    training: TrainingSettings
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
    values = _read_toml(path)
    overridden = _apply_environment(values, os.environ if environ is None else environ)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_format_errors(error, path, overridden)) from None


def find_setting_variable(name: str) -> str:
    """Find the environment variable that a setting's value comes from.

    Args:
        name: The setting's dotted name, such as "service.port".

    Returns:
        The variable's name; "" where the value is that of settings.toml.
    """
    wanted = f"{ENV_PREFIX}{name.replace('.', '__')}".upper()
    return next((each for each in os.environ if each.startswith(ENV_PREFIX) and each.upper() == wanted), "")


def find_setting_source(name: str) -> str:
    """Find where a setting's value comes from.

    Args:
        name: The setting's dotted name, such as "service.port".

    Returns:
        "environment variable …", or the path of settings.toml.
    """
    variable = find_setting_variable(name)
    return f"environment variable {variable}" if variable else str(PROJECT_ROOT / SETTINGS_FILE)


def list_setting_variables(environ: Mapping[str, str]) -> list[str]:
    """List the environment variables that are meant as settings, misspelt ones, too.

    Those aren't by which Kubernetes tells pods of a Service called "penumbra" or "penumbra-…", such as
    PENUMBRA_SERVICE_PORT: it gives a pod the Service's host and its address, tcp://…, with each of them.

    Args:
        environ: The environment, by name of the variable.

    Returns:
        Their names.

    Source:
        https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    ours = [name for name in environ if name.startswith(ENV_PREFIX) and not name.startswith(API_KEY_PREFIX)]
    hosts = (name.removesuffix("_SERVICE_HOST") for name in ours if name.endswith("_SERVICE_HOST"))
    links = [host for host in hosts if LINK_ADDRESS.match(environ.get(f"{host}_PORT", ""))]
    return [name for name in ours if not any(LINK_SUFFIX.fullmatch(name.removeprefix(link)) for link in links)]


def remove_api_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """Remove API keys from an environment, for processes that check none.

    Args:
        environ: The environment, by name of the variable.

    Returns:
        The environment without them.
    """
    return {name: value for name, value in environ.items() if not name.startswith(API_KEY_PREFIX)}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path} is missing: it holds every setting of the project; run this in the project's folder or below it"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None


def _apply_environment(values: dict[str, Any], environ: Any) -> set[tuple[str, ...]]:
    """Put the environment's values in place; return the keys of the settings that they replaced."""
    replaced: set[tuple[str, ...]] = set()
    for name in list_setting_variables(environ):
        keys = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
        if len(keys) != 2:
            raise SettingsError(f"environment variable {name}: expected {ENV_PREFIX}SECTION__KEY")
        section = values.setdefault(keys[0], {})
        if isinstance(section, dict):
            section[keys[1]] = environ[name]
            replaced.add(keys)
    return replaced


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
