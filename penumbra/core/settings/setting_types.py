"""Types of single settings: how a value is read from text, and which values are refused with what was expected."""

import base64
import binascii
import datetime as dt
import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from penumbra.core.metrics.loss_names import require_loss_name
from penumbra.core.text.masking import mask_address

UNSHARED_SCHEMES = ("memory", "http", "https", "data", "local")  # nothing that machines share, or can write to
ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")  # of a public key in DER, before its 32 bytes
KUBERNETES_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
IMAGE_NAME = r"^([A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(/[a-z0-9._-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?)?$"


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


DateSetting = Annotated[dt.date, BeforeValidator(_resolve_today)]
TimeSetting = Annotated[
    dt.time, BeforeValidator(_parse_time), PlainSerializer(lambda time: f"{time:%H:%M}", return_type=str)
]
OptionalTimeSetting = Annotated[
    dt.time | None,
    BeforeValidator(lambda value: None if value in ("", None) else _parse_time(value)),
    PlainSerializer(lambda time: f"{time:%H:%M}" if time else "", return_type=str),
]
WordListSetting = Annotated[list[str], BeforeValidator(_split_words)]
PhraseListSetting = Annotated[list[str], BeforeValidator(_split_phrases)]
RecordedAddressSetting = Annotated[str, AfterValidator(_require_no_secret)]
StateAddressSetting = Annotated[RecordedAddressSetting, AfterValidator(_normalize_state)]
WebAddressSetting = Annotated[str, AfterValidator(_require_web_address)]
PublicKeysSetting = Annotated[WordListSetting, AfterValidator(_require_public_keys)]
LossSetting = Annotated[str, AfterValidator(require_loss_name)]
ImageSetting = Annotated[str, Field(pattern=IMAGE_NAME)]
KubernetesName = Annotated[str, Field(pattern=KUBERNETES_NAME)]
SecretNamesSetting = Annotated[list[KubernetesName], BeforeValidator(_split_words)]
FlywheelPeriod = Literal["", "day", "week", "month"]
