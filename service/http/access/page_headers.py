"""Response headers of pages: what a browser may do with them, which is as little as they need."""

from collections.abc import Iterable

from service.http.asgi import AsgiApp, Headers, Message, Receive, Send

# For a page that loads scripts, styles and pictures from its own origin and nothing from elsewhere.
OWN_ORIGIN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'"
)
NO_FRAMES = "; frame-ancestors 'none'"


def build_page_headers(policy: str) -> Headers:
    """Build the headers of a page.

    Args:
        policy: Its content security policy. No page of ours may be shown within another one, which is added.

    Returns:
        Names in lower case, and values.
    """
    return [
        (b"content-security-policy", (policy + NO_FRAMES).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]


def replace_headers(headers: Iterable[tuple[bytes, bytes]], added: Headers) -> Headers:
    """Replace headers of a response.

    Args:
        headers: Its headers.
        added: Headers that take the place of those with the same names.

    Returns:
        The headers without those, followed by `added`.
    """
    names = {name for name, _ in added}
    return [*((name, value) for name, value in headers if name.lower() not in names), *added]


def replace_sent_headers(send: Send, added: Headers) -> Send:
    """Make a way to send a response in which some headers are replaced.

    Args:
        send: Sends the messages of a response.
        added: Headers that take the place of its own of the same names.

    Returns:
        What sends them with these headers.
    """

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": replace_headers(message.get("headers", ()), added)}
        await send(message)

    return send_with_headers


def add_page_headers(app: AsgiApp, policy: str) -> AsgiApp:
    """Give every response of an application the headers of a page.

    Args:
        app: The ASGI application.
        policy: The content security policy of its pages.

    Returns:
        The application with these headers, which replace its own of the same names.
    """
    added = build_page_headers(policy)

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        await app(scope, receive, replace_sent_headers(send, added) if scope["type"] == "http" else send)

    return serve
