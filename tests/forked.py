#!/usr/bin/env -S python3 -IS
"""A command line of Python, run by the server of forks whose socket $TASD_TEST_FORKS names.

It takes the place of `python` for programs that start Python themselves: ``forked.py -m tasd ...``
gives its streams, environment and folder to a fork, waits for it, and ends as it did.
"""

import contextlib
import json
import os
import signal
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect(os.environ["TASD_TEST_FORKS"])
    request = {
        "words": sys.argv[1:],
        "env": dict(os.environ),
        "cwd": os.getcwd(),
        "own_session": False,
    }
    socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
    server.recv(64)  # its process number
    code = int(server.recv(64))
if code < 0:
    with contextlib.suppress(OSError):  # SIGKILL is always as it is
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
