"""Masking of secrets: passwords and tokens in addresses, webhooks. What is recorded or shown has `***` in their place.

| address                          | masked                       | because                                       |
|----------------------------------|------------------------------|-----------------------------------------------|
| `db://me:secret@host/base`       | `db://me:***@host/base`      | a password                                    |
| `https://secret@host/base`       | `https://***@host/base`      | over HTTP a name without password is a token  |
| `db://host/base?sslkey=secret#x` | `db://host/base?sslkey=***#***` | any value of a query may be a token        |
| `https://host/services/secret`   | `https://host/***`           | of a webhook the path is the secret           |
"""

import re
from typing import Any

MASK = "***"
WEBHOOK_SETTING = "webhook"
ADDRESS_PATTERN = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")


def mask_address(address: str) -> str:
    """Mask the secrets of an address. A password may hold any character, unescaped ones included.

    Args:
        address: A URL, a path or any other text.

    Returns:
        The address with `***` in place of its password, the values of its query, and its fragment.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    user, location = _split_user(scheme, rest)
    location, has_fragment, _ = location.partition("#")
    location, has_query, query = location.partition("?")
    masked = "&".join(f"{part.partition('=')[0]}={MASK}" if "=" in part else MASK for part in query.split("&"))
    return f"{scheme}://{user}{location}{has_query}{masked if has_query else ''}{has_fragment and '#' + MASK}"


def mask_webhook(address: str) -> str:
    """Mask a webhook's address but for its host, since whoever knows the rest can post.

    Args:
        address: The address; "" for none.

    Returns:
        The address with `***` in place of all that follows the host; `***` for what is no URL.
    """
    scheme, separator, rest = address.partition("://")
    host = re.split(r"[/?#]", rest.rpartition("@")[2])[0]
    return (f"{scheme}://{host}/{MASK}" if separator else MASK) if address else ""


def mask_settings(facts: Any) -> Any:
    """Mask the secrets of settings, as they are recorded and as older records have them.

    Args:
        facts: Settings as dictionaries, or one value.

    Returns:
        The same with every address masked.
    """
    if isinstance(facts, dict):
        masked = {key: mask_settings(value) for key, value in facts.items()}
        webhook = facts.get(WEBHOOK_SETTING)
        return masked | ({WEBHOOK_SETTING: mask_webhook(webhook)} if isinstance(webhook, str) else {})
    return mask_address(facts) if isinstance(facts, str) else facts


def mask_text(text: str) -> str:
    """Mask the secrets of all addresses in a text, such as a library's error.

    Args:
        text: Any text.

    Returns:
        The text with every address in it masked.
    """
    return ADDRESS_PATTERN.sub(lambda found: mask_address(found[0]), text)


def strip_secrets(address: str) -> str:
    """Remove name, password, query and fragment from an address, so that it can be linked to.

    Args:
        address: A URL.

    Returns:
        The address without them.
    """
    scheme, separator, rest = address.partition("://")
    return re.split(r"[?#]", f"{scheme}{separator}{rest.rpartition('@')[2]}")[0]


def _split_user(scheme: str, rest: str) -> tuple[str, str]:
    """Split what follows `://` into the masked user with its `@`, and the location."""
    before, _, after = rest.rpartition("@")
    user, has_password, _ = before.partition(":")
    if has_password:
        return f"{user}:{MASK}@", after
    if before and scheme in ("http", "https") and not re.search(r"[/?#]", before):
        return f"{MASK}@", after
    return "", rest
