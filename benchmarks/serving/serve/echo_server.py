"""An ASGI application that sends the body of a request back: the least that an HTTP server can do."""

HEADERS = [(b"content-type", b"application/json")]


async def app(scope, receive, send):
    """Answer each HTTP request with its own body (an ASGI application: `scope`, `receive`, `send`)."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    await send(
        {"type": "http.response.start", "status": 200, "headers": [*HEADERS, (b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})
