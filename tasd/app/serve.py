"""The server: one address, one session, and a clean end on Ctrl-C or SIGTERM."""

import socket
import threading
import webbrowser
from collections.abc import Callable

import uvicorn

from tasd.app.api import make_app
from tasd.app.guard import Access, access
from tasd.app.session import Session
from tasd.errors import UserError
from tasd.training.signals import StopSignals


class Server(uvicorn.Server):
    """A server that calls ``began`` once it answers, and ends where that returns False."""

    def __init__(self, config: uvicorn.Config, began: Callable[[], bool]) -> None:
        super().__init__(config)
        self._began = began

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer; signals are taken by now."""
        await super().startup(sockets=sockets)
        if not self._began():
            self.should_exit = True


def bind(host: str, port: int) -> tuple[socket.socket, Access]:
    """Bind to an address, port 0 to any free port. Raises `UserError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(128)
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"--host {host} --port {port} cannot be used ({reason}); take another with --port, or "
            "--port 0 for any that is free"
        ) from None
    return bound, access(host, bound.getsockname()[1])


def serve(
    session: Session,
    bound: socket.socket,
    allowed: Access,
    *,
    open_page: bool,
    say: Callable[[str], None],
) -> int:
    """Serve until a signal comes; return 130 for Ctrl-C and 143 for SIGTERM."""
    config = uvicorn.Config(
        make_app(session, allowed),
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    with StopSignals() as stop:

        def began() -> bool:
            say(f"tasd app: {allowed.address}  (Ctrl-C ends it)")
            if open_page:
                opened = threading.Thread(target=webbrowser.open, args=(allowed.address,))
                opened.daemon = True
                opened.start()
            return not stop.exit_code

        try:
            Server(config, began).run(sockets=[bound])
        finally:
            bound.close()
            session.close()
    return stop.exit_code
