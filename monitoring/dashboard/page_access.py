"""Who may do what on the dashboard: this machine's readers read, and a key of the right role opens what writes."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.dashboard.sites import READ_METHODS, Site
from penumbra.core.settings import API_KEY_PREFIX
from service.http.access.access_control import BEARER_CHALLENGE, KeyDigests, KeyHolder, Role, find_key_holder
from service.http.access.hosts import HostCheck
from service.http.access.page_headers import build_page_headers, replace_sent_headers
from service.http.asgi import AsgiApp, Headers, Message, Receive, Send, send_refusal
from service.http.refusals import RequestRefused

BASIC_CHALLENGE = (b"www-authenticate", b'Basic realm="dashboard: any name, a key as password", charset="UTF-8"')
KEY_HOLDER = "key_holder"  # in the scope: who sends the request, a `KeyHolder`
NOBODY = KeyHolder("", frozenset())
MAX_SHOWN_ORIGIN = 100
MAX_READING_BYTES = 1 << 20  # of the body of a search


@dataclass(frozen=True)
class PageAccess:
    """Checks the requests to the dashboard.

    Attributes:
        hosts: The hosts that are ours.
        keys: Digests of the keys of the roles admin, review and approve; empty where there are none.
        is_closed: Whether reading takes a key, too.
    """

    hosts: HostCheck
    keys: KeyDigests
    is_closed: bool = False

    def check(self, site: Site, scope: Message) -> KeyHolder:
        """Let a request pass, or refuse it.

        Args:
            site: The site that it is sent to.
            scope: Its ASGI scope.

        Returns:
            Who sends it; without a name where it came without a key and needs none.

        Raises:
            RequestRefused: 421 for a host that isn't ours; 403 where a page of another origin sent it, or it takes a
                key and none is set; 401 where it takes a key and has none that will do; 413 for a large body without
                a key.
        """
        headers, is_reading = scope["headers"], site.is_reading(scope["method"], scope["path"])
        if is_reading and scope["path"] in site.probes:
            _require_small_body(headers)
            return NOBODY
        self.hosts.require_own_host(headers)
        if scope["method"] not in READ_METHODS:
            _require_own_origin(headers)
        role = site.find_role(scope["path"])
        holder = find_key_holder(self.keys, _read_key(headers))
        if holder.roles & {role, "admin"}:
            return holder
        if not self.is_closed and (not self.keys if site.is_private(scope["path"]) else is_reading):
            _require_small_body(headers)
            return NOBODY
        what = f"reading {site.title}" if is_reading else f"{scope['method']} at {site.title}, which is read-only here,"
        raise self._refuse(what if role == "admin" else scope["path"], role)

    def _refuse(self, what: str, role: Role) -> RequestRefused:
        article = "an admin key" if role == "admin" else f"a key of the role {role}"
        if not any(key.role in (role, "admin") for key in self.keys):
            return RequestRefused(403, f"{what} takes {article}, and none is set: set {API_KEY_PREFIX}{role.upper()}")
        message = f"{what} takes {article}: send one as 'authorization: Bearer <key>', or as password of any name"
        return RequestRefused(401, message, headers=[BEARER_CHALLENGE, BASIC_CHALLENGE])


def guard_site(app: AsgiApp, site: Site, access: PageAccess) -> AsgiApp:
    """Put a site behind the checks, and give its answers the headers of its pages.

    Args:
        app: The site's ASGI application, which may raise RequestRefused before it answers.
        site: Which requests read, and what its pages may do.
        access: The checks.

    Returns:
        The guarded application.
    """

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # a WebSocket, which no site has
            await send({"type": f"{scope['type']}.close"})
            return
        send_page = replace_sent_headers(send, build_page_headers(site.choose_policy(scope["path"])))
        try:
            holder = access.check(site, scope)
            await app({**scope, KEY_HOLDER: holder}, receive, send_page)
        except RequestRefused as refused:
            await send_refusal(send_page, refused)

    return serve


def _require_own_origin(headers: Headers) -> None:
    """Refuse what a page of another origin sends: a browser names the origin, and may add a key that it knows."""
    host = _find_header(headers, b"host")
    for origin in (value for name, value in headers if name == b"origin"):
        if origin.partition(b"://")[2] != host:
            shown = origin.decode("latin-1")[:MAX_SHOWN_ORIGIN]
            raise RequestRefused(403, f"a page of the origin {shown!r} sent this: only pages of this site may")
    if _find_header(headers, b"sec-fetch-site") in (b"cross-site", b"same-site"):
        raise RequestRefused(403, "a page of another site sent this: only pages of this one may")


def _require_small_body(headers: Headers) -> None:
    length = _find_header(headers, b"content-length") or b"0"
    if _find_header(headers, b"transfer-encoding") or not length.isdigit() or int(length) > MAX_READING_BYTES:
        raise RequestRefused(413, f"the body has to be of known length, and at most {MAX_READING_BYTES:,} bytes")


def _read_key(headers: Headers) -> bytes:
    """The key of a Bearer header, or the password of a Basic one; empty for none."""
    scheme, _, credentials = _find_header(headers, b"authorization").partition(b" ")
    if scheme.lower() == b"bearer":
        return credentials.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(credentials, validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""


def _find_header(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    return next((value for name, value in headers if name == wanted), b"")
