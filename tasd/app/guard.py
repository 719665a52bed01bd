"""The guard before every request: the host's name, the token, and the origin of changes.

A page elsewhere can send requests to this one. It can neither read the answers nor set our header,
and a name that is pointed at this machine (DNS rebinding) is not among the hosts.
"""

import contextlib
import ipaddress
import secrets
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "::1")
HEADER = "x-tasd"  # of every request that changes something
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class Access:
    """The rule of access. host: the page is bound to it. token: empty where none is asked for."""

    host: str
    port: int
    token: str = ""

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token; cookies are shared by all ports."""
        return f"tasd_app_{self.port}"

    @property
    def address(self) -> str:
        """The address to open."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::", "") else self.host
        shown = f"[{host}]" if ":" in host else host
        query = f"/?token={self.token}" if self.token else "/"
        return f"http://{shown}:{self.port}{query}"


def access(host: str, port: int) -> Access:
    """Return the access for a host; beyond this machine it takes a random token."""
    return Access(host, port, "" if is_local(host) else secrets.token_urlsafe(32))


def is_local(host: str) -> bool:
    """True for names and addresses of this machine alone."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class Guard:
    """ASGI middleware that refuses strangers, and sets the headers of safety on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """The answer to a request that is not served; None for one that is."""
        host = request.headers.get("host", "")
        if not self._known(host):
            return _refused(421, f"this page is not called {host[:80]!r}; use the printed address")
        if self._access.token and not self._holds_token(request):
            return self._let_in(request)
        if request.method not in ("GET", "HEAD"):
            origin = request.headers.get("origin")
            if HEADER not in request.headers:
                return _refused(403, f"a change needs the header {HEADER}; use the page")
            if origin is not None and urlsplit(origin).netloc != host:
                return _refused(403, "this change comes from another page; use the page itself")
        return None

    def _known(self, host: str) -> bool:
        """True for the hosts of the access; an address is no name that others could point here."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in LOCAL:
            return True
        if not self._access.token:
            return name == self._access.host.lower()
        with contextlib.suppress(ValueError):
            return bool(ipaddress.ip_address(name))
        return name in (self._access.host.lower(), socket.gethostname().lower())

    def _holds_token(self, request: Request) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        with contextlib.suppress(CookieError):
            cookies.load(request.headers.get("cookie", ""))
        found = cookies.get(self._access.cookie)
        return found is not None and self._right(found.value)

    def _let_in(self, request: Request) -> Response:
        """Turn the token of the address into a cookie."""
        given = parse_qs(request.url.query).get("token", [""])[0]
        if request.method != "GET" or not self._right(given):
            return _refused(401, "open the address that tasd app printed; it holds the token")
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(self._access.cookie, given, httponly=True, samesite="lax", path="/")
        return answer

    def _right(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self._access.token.encode())


def _refused(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status_code=status)
