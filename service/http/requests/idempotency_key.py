"""The header `Idempotency-Key`, as in the draft of the IETF: requests with the same one are the same request.

Source: draft-ietf-httpapi-idempotency-key-header. A key is a string in quotes there; it is taken without them, too.
"""

import base64
import hashlib
import re
from collections.abc import Collection, Sequence

from service.http.refusals import RequestRefused
from service.inference.idempotency.request_claims import KeyedRequest

KEY_HEADER, RANGE_HEADER = b"idempotency-key", b"content-range"
PLAIN_KEY = re.compile(rb'("?)([ !#-\[\]-~]{1,255})\1')  # printable ASCII, but for quote and backslash
SENT_KEY_PATTERN = r"^[!#-\[\]-~]([ !#-\[\]-~]*[!#-\[\]-~])?$"  # a header has no blanks at its ends
DIGEST_BYTES = 16


def read_idempotency_key(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Read the idempotency key of a request.

    Args:
        headers: The request's headers, with names in lower case.

    Returns:
        The key without quotes; None where there is none.

    Raises:
        RequestRefused: 400, it is no key, or there are several.
    """
    given = [value.strip() for name, value in headers if name == KEY_HEADER]
    if not given:
        return None
    match = PLAIN_KEY.fullmatch(given[0])
    if len(given) > 1 or match is None:
        shown = ", ".join(value.decode("latin-1")[:100] for value in given)
        raise RequestRefused(
            400,
            f"the idempotency key is {shown!r}: send one of 1 to 255 printable characters of ASCII, no quotes and "
            "backslashes among them, such as a UUID",
        )
    return match[2]


def describe_keyed_request(
    key: bytes, headers: Sequence[tuple[bytes, bytes]], options: Collection[str], body: bytes
) -> KeyedRequest:
    """Describe a request by digests, so that it is known again.

    A sender that splits a list says by `Content-Range` (RFC 9110, 14.4) which part of it a request is, such as
    `records 0-9999/*`, and whether the list ends there (`/10000`): a part is another request than a list of its own.

    Args:
        key: Its idempotency key. The same one of another sender, by its API key, is another one.
        headers: Its headers, with names in lower case.
        options: The options that it asks for, however its query has them.
        body: Its body.

    Returns:
        The digests of key and sender, and of all that is asked.
    """
    by_name = dict(reversed(headers))
    place = by_name.get(RANGE_HEADER, b"")
    asked = "&".join(sorted(options)).encode() + (b"\n" + place if place else b"")
    return KeyedRequest(_digest(by_name.get(b"authorization", b""), key), _digest(asked, body))


def _digest(first: bytes, second: bytes) -> str:
    digest = hashlib.blake2b(first + b"\n", digest_size=DIGEST_BYTES)
    digest.update(second)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
