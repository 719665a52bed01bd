"""SIGTERM and Ctrl-C: training finishes its step and saves before it stops."""

import signal
from types import FrameType, TracebackType


class StopSignals:
    """Inside the block SIGTERM and Ctrl-C only set `exit_code`; a second Ctrl-C ends at once.

    exit_code: 0 until a signal comes, then 143 (SIGTERM) or 130 (Ctrl-C).
    """

    def __init__(self) -> None:
        self.exit_code = 0

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
        self.exit_code = 128 + number
