"""Parser of ffmpeg's log: counts of decoded frames, and error messages."""

import re
from dataclasses import dataclass, field

# A message follows its sender, as in "[h264 @ 0x55d0c8a3b400] ", and its level, as in "[error] ".
# The patterns are anchored, because the name of a file or its title may contain anything.
SENDER = rb"^(?:\[[^\]]* @ 0x[0-9a-f]+\] )*"
FRAME_COUNT = re.compile(
    SENDER + rb"\[verbose\]   Input stream #(\d+):\d+ \(video\): .* (\d+) frames decoded"
)
ERROR = re.compile(SENDER + rb"\[(?:error|fatal|panic)\] (.*)")
LONGEST_LINE = 2000
NO_TIME = 2**62  # ticks beyond this are no time
OUT_OF_MEMORY = "decoding it takes more memory than prep allows; see --memory-mib"
# A known cause explains more than the last of several error messages.
CAUSES = {
    "matches no streams": "it has no video stream",
    "Format not on whitelist": "its container is not one that prep opens",
    "not on whitelist": "it names another file, and prep follows none",
    "received no packets": "it has no frame that decodes",
    "Cannot allocate memory": OUT_OF_MEMORY,
    "Resource temporarily unavailable": OUT_OF_MEMORY,  # no memory for another thread
}


@dataclass
class FfmpegLog:
    """Content of the log of one process, at ``-loglevel level+verbose``.

    decoded: frames of each video, by its number. complaints: number of error messages.
    complaint: the last of them. cause: their common cause, where it is known.
    """

    decoded: dict[int, int] = field(default_factory=dict)
    complaints: int = 0
    complaint: str = ""
    cause: str = ""
    _unfinished: bytes = b""

    def feed(self, piece: bytes) -> None:
        """Parse the next piece of the log; an empty piece ends it."""
        *lines, self._unfinished = (self._unfinished + piece).splitlines(keepends=True) or [b""]
        if not piece or self._unfinished.endswith(b"\n") or len(self._unfinished) > LONGEST_LINE:
            lines, self._unfinished = [*lines, self._unfinished], b""
        for line in lines:
            self._parse(line[:LONGEST_LINE])

    def _parse(self, line: bytes) -> None:
        if error := ERROR.match(line):
            self._add_error(error[1].decode(errors="replace").strip())
        elif count := FRAME_COUNT.match(line):
            video = int(count[1])
            self.decoded[video] = max(self.decoded.get(video, 0), int(count[2]))

    def _add_error(self, text: str) -> None:
        self.complaints += 1
        self.complaint = text or self.complaint
        for words, cause in CAUSES.items():
            if words in text:
                self.cause = self.cause or cause
                break


def frame_lines(lines: bytes) -> tuple[list[int], list[float]]:
    """Parse the numbers and times, in seconds, of the chosen frames from ``14 7168 1/12800``."""
    numbers, times = [], []
    for line in lines.decode().splitlines():
        number, ticks, tick = line.split()
        over, under = tick.split("/")
        numbers.append(int(number))
        # Where the container gives no time, ffmpeg writes the smallest 64-bit number.
        known = abs(int(ticks)) < NO_TIME and int(under)
        times.append(int(ticks) * int(over) / int(under) if known else float("nan"))
    return numbers, times
