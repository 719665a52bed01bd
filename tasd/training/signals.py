"""SIGTERM and Ctrl-C: training finishes its step and saves before it stops."""

import os
import signal
from types import FrameType, TracebackType

STOPPING = "stopping: this step is finished and saved first; a second Ctrl-C ends at once"


class StopSignals:
    """Inside the block SIGTERM and Ctrl-C only set `exit_code`; a second Ctrl-C ends at once.

    note: a line for standard error at the first signal. exit_code: 0 until a signal comes, then
    143 (SIGTERM) or 130 (Ctrl-C).
    """

    def __init__(self, note: str = "") -> None:
        self.exit_code, self._said = 0, note

    def __enter__(self) -> "StopSignals":
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.exit_code:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        if self._said and not self.exit_code:
            os.write(2, f"\n{self._said}\n".encode())  # print may be what was interrupted
        self.exit_code = 128 + number
