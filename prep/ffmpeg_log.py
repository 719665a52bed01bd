"""What ffmpeg says while it works, understood: counts of frames, and complaints."""

import re
from dataclasses import dataclass, field

# Before what is said stand who says it, "[h264 @ 0x55d0c8a3b400] ", and how loudly. The anchors
# matter: the name of a file or its title may hold anything.
WHO = rb"^(?:\[[^\]]* @ 0x[0-9a-f]+\] )*"
COUNTS = re.compile(
    WHO + rb"\[verbose\]   Input stream #(\d+):\d+ \(video\): .* (\d+) frames decoded"
)
COMPLAINS = re.compile(WHO + rb"\[(?:error|fatal|panic)\] (.*)")
LONGEST_LINE = 2000
NO_TIME = 2**62
OUT_OF_MEMORY = "decoding it takes more memory than prep allows; see --memory-mib"
# Of several complaints the last says least where the first cause is known.
CAUSES = {
    "matches no streams": "it has no video stream",
    "Format not on whitelist": "its container is not one that prep opens",
    "not on whitelist": "it names another file, and prep follows none",
    "received no packets": "it has no frame that decodes",
    "Cannot allocate memory": OUT_OF_MEMORY,
    "Resource temporarily unavailable": OUT_OF_MEMORY,  # no room for another thread
}


@dataclass
class Transcript:
    """What one process said, with ``-loglevel level+verbose``, of its videos by their number.

    decoded: how many frames each had. complaints: how many errors there were in all.
    complaint: the last of them. cause: what they come to, where that is known.
    """

    decoded: dict[int, int] = field(default_factory=dict)
    complaints: int = 0
    complaint: str = ""
    cause: str = ""
    _unfinished: bytes = b""

    def hear(self, piece: bytes) -> None:
        """Take in the next piece of the talk; an empty one ends it."""
        *lines, self._unfinished = (self._unfinished + piece).splitlines(keepends=True) or [b""]
        if not piece or self._unfinished.endswith(b"\n") or len(self._unfinished) > LONGEST_LINE:
            lines, self._unfinished = [*lines, self._unfinished], b""
        for line in lines:
            self._understand(line[:LONGEST_LINE])

    def _understand(self, line: bytes) -> None:
        if said := COMPLAINS.match(line):
            self._complain(said[1].decode(errors="replace").strip())
        elif said := COUNTS.match(line):
            video = int(said[1])
            self.decoded[video] = max(self.decoded.get(video, 0), int(said[2]))

    def _complain(self, text: str) -> None:
        self.complaints += 1
        self.complaint = text or self.complaint
        for sign, cause in CAUSES.items():
            if sign in text:
                self.cause = self.cause or cause
                break


def frame_lines(lines: bytes) -> tuple[list[int], list[float]]:
    """Which frames were chosen and when each is shown, from lines like ``14 7168 1/12800``."""
    numbers, times = [], []
    for line in lines.decode().splitlines():
        number, ticks, tick = line.split()
        over, under = tick.split("/")
        numbers.append(int(number))
        # Where the container says no time, ffmpeg gives the least number there is.
        known = abs(int(ticks)) < NO_TIME and int(under)
        times.append(int(ticks) * int(over) / int(under) if known else float("nan"))
    return numbers, times
