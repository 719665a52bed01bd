"""Workers of a prep that are forked by a server, in a fiftieth of a second each.

The server has imported prep, has one thread and holds no locks. A prep that is a process of its
own (`tests/forks.py`, `subprocess`) starts its workers as a person's does.
"""

import os
from multiprocessing.context import ForkServerContext, ForkServerProcess


class Worker(ForkServerProcess):
    """A process with the environment of its parent, not that of the server that forks it."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._environment = dict(os.environ)

    def run(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()


class Workers(ForkServerContext):
    """The context of such processes; all of one test process come from one server."""

    Process = Worker  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.set_forkserver_preload(["prep.archives.crew"])
