"""Access control of the demo's server: only requests from its own page, with bounded size.

Any website in the user's browser can send requests to servers on this machine. The browser then names the
website in Origin or, if its domain was made to resolve to this machine (DNS rebinding), in Host. Any port is
accepted in Host, so that the page can be reached through an SSH tunnel.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from lctr_jax.json_objects import describe_value

MAX_UPLOAD_BYTES = 100_000_000
"""Largest upload in bytes; photographs of up to the decoded number of pixels are smaller."""

_MAX_FORM_BYTES = 1_000_000  # of other requests, and of the form data around an uploaded file
ASGIApp = Callable[..., Awaitable[None]]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """ASGI middleware that responds 403, 411 or 413 with the reason, or passes the request on."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Handle a request."""
        # Starlette comes with Gradio, so the module can be imported without the extra [demo].
        from starlette.datastructures import Headers
        from starlette.responses import PlainTextResponse

        app: ASGIApp = self._app
        if scope["type"] in ("http", "websocket") and (
            refusal := refuse(scope["path"], Headers(scope=scope))
        ):
            status, reason = refusal
            app = PlainTextResponse(f"{reason}\n", status, {"Connection": "close"})
        await app(scope, receive, send)


def refuse(path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """Return the status and reason if a request is refused, otherwise None.

    A body must declare its length, which the server then enforces; otherwise it could fill the memory.
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
    """Return the port of an http address of this machine, or None for other addresses."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        return None
    bare = not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    return port if parts.scheme == "http" and bare and parts.hostname in _LOOPBACK else None
