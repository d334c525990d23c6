"""What the page's server answers: requests of this machine's own page, no larger than an upload may be.

Any website in the user's browser can send requests to servers of this machine. The browser then names the
website: in Origin or, where its domain was made to resolve to this machine (DNS rebinding), in Host.
Host may have any port, so that the page can be reached through an SSH tunnel.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lctr_jax.json_objects import describe_value

MAX_UPLOAD_BYTES = 100_000_000
"""Size of an uploaded file: a photograph of as many pixels as are decoded is smaller."""

_MAX_FORM_BYTES = 1_000_000  # of a request that is no upload, and of what surrounds the file in one that is
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """ASGI middleware that answers 403, 411 or 413 with the reason, or passes the request on."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        app = self._app
        if scope["type"] in ("http", "websocket") and (
            refusal := refuse(scope["path"], Headers(scope=scope))
        ):
            status, reason = refusal
            app = PlainTextResponse(f"{reason}\n", status, {"Connection": "close"})
        await app(scope, receive, send)


def refuse(path: str, headers: Headers) -> tuple[int, str] | None:
    """The status and reason for which a request is refused, or None.

    A body must say its length, which the server then holds it to: otherwise it could fill the memory.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    if (port := _loopback_port(f"http://{host}")) is None:
        return 403, f"Host: got {describe_value(host)}, expected this machine: localhost, 127.0.0.1 or [::1]"
    if origin is not None and _loopback_port(origin) != port:
        return 403, f"Origin: got {describe_value(origin)}, expected this page: http://{host}"
    if "transfer-encoding" in headers:
        return 411, "Content-Length: missing, expected the size of the request in bytes"
    limit = _MAX_FORM_BYTES + (MAX_UPLOAD_BYTES if path.rstrip("/").endswith("/upload") else 0)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal() and len(length) < 20 and int(length) <= limit):
        return 413, f"Content-Length: got {describe_value(length)}, expected at most {limit} bytes"
    return None


def _loopback_port(url: str) -> int | None:
    """The port of an http address of this machine, or None where it is another address."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        return None
    bare = not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    return port if parts.scheme == "http" and bare and parts.hostname in _LOOPBACK else None
