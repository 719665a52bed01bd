"""The command `tasd` in cells of bash, as forks of a Python that has imported torch.

``python tests/fork_socket.py SOCKET WORD ...`` is the client: it sends its streams, its
environment and its folder to the forks of tests (`tests.forks`), and ends as the fork does. It
imports as little as it can.
"""

import contextlib
import json
import os
import shlex
import socket
import sys
import threading
from collections.abc import Iterator

SIZE = 1 << 20  # bytes of the longest request


def client(path: str, words: list[str]) -> int:
    """Have a command line of Python run, and return its exit code."""
    request = {"words": words, "env": dict(os.environ), "cwd": os.getcwd(), "own_session": False}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.connect(path)
        socket.send_fds(channel, [json.dumps(request).encode()], [0, 1, 2])
        channel.recv(64)  # its process number
        code = int(channel.recv(64) or 1)
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def listening(path: str) -> Iterator[str]:
    """Serve clients at ``path`` by forks; the value is a script that makes `tasd` such a client."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=_serve, args=[listener], daemon=True)
        thread.start()
        words = shlex.join([sys.executable, "-I", "-S", __file__, path, "-m", "tasd"])
        yield f'tasd() {{ {words} "$@"; }}\n'
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket) -> None:
    """Hand each request, with the socket it came by, to the server of forks."""
    from tests import forks

    while True:
        try:
            channel, _ = listener.accept()
        except OSError:  # shut down
            return
        with channel:
            message, streams, _, _ = socket.recv_fds(channel, SIZE, 3)
            socket.send_fds(forks.server()[1], [message], [*streams, channel.fileno()])
            for stream in streams:
                os.close(stream)


if __name__ == "__main__":
    sys.exit(client(sys.argv[1], sys.argv[2:]))
