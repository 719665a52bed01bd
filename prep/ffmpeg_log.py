"""Parser of ffmpeg's log: counts of decoded frames, and error messages."""

import math
import re
from dataclasses import dataclass, field

from prep.attempts import RETRIED
from prep.tracks import Track, parse_track

# A message follows its sender, as in "[h264 @ 0x55d0c8a3b400] ", and its level, as in "[error] ".
# The patterns are anchored, because the name of a file or its title may contain anything.
SENDER = rb"^(?:\[[^\]]* @ 0x[0-9a-f]+\] )*"
FRAME_COUNT = re.compile(
    SENDER + rb"\[verbose\]   Input stream #(\d+):\d+ \(video\): .* (\d+) frames decoded"
)
ERROR = re.compile(SENDER + rb"\[(?:error|fatal|panic)\] (.*)")
# The size of the pictures that the scale filter of an output takes, whenever it changes.
PICTURES = re.compile(
    rb"^\[Parsed_scale_\d+ @ 0x[0-9a-f]+\] \[verbose\] "
    rb"w:(\d+) h:(\d+) fmt:\w+ .*?sar:(\d+)/(\d+) -> "
)
LONGEST_LINE = 2000
NO_TIME = 2**62  # ticks beyond this are no time
# Logged where ffmpeg was asked to end, and ended in order.
SIGNAL = re.compile(rb"^\[info\] Exiting normally, received signal (\d+)")
THREADS_MIB = 512  # with more memory than this, a thread that cannot start lacks something else
OUT_OF_MEMORY = "decoding it takes more memory than prep allows; see --memory-mib"
# A known cause explains more than the last of several error messages: code and reason.
CAUSES = {
    "matches no streams": ("no_video_stream", "it has no video stream"),
    "Format not on whitelist": ("container", "its container is not one that prep opens"),
    "not on whitelist": ("names_other_file", "it names another file, and prep follows none"),
    "received no packets": ("no_frames", "it has no frame that decodes"),
    "Cannot allocate memory": ("memory_limit", OUT_OF_MEMORY),
    "Resource temporarily unavailable": ("no_thread", OUT_OF_MEMORY),
    "No such file or directory": ("vanished", "No such file or directory"),
    "Input/output error": ("read_error", "the disk reports a read error (Input/output error)"),
    "Stale file handle": ("read_error", "the disk reports a read error (Stale file handle)"),
    "Too many open files": ("no_resources", "too many files are open on this machine"),
    "Permission denied": ("permission", "Permission denied"),
}
# Messages that follow from an earlier one, which has the cause.
GENERAL = re.compile(
    r"Error (opening|while|submitting|sending|during|processing|decoding|initializing|reinit|muxing"
    r"|parsing options|selecting|configuring|closing|applying)|Invalid data found when processing"
    r"|Conversion failed|Terminating thread|Task finished|Nothing was written|Could not open enc"
    r"|Failed to|received no packets|Decoder thread received|Decode error rate"
)


@dataclass
class FfmpegLog:
    """Content of the log of one process, at ``-loglevel level+verbose``.

    decoded: frames of each video, by its number. tracks: the video tracks of each. shapes: width,
    height and display ratio of the pictures, one more whenever they change. complaints: number
    of error messages. complaint: the first of them that has a cause of its own. cause, code:
    their common cause, and its code, where it is known. signal: that ended it in order; 0 for none.
    """

    decoded: dict[int, int] = field(default_factory=dict)
    tracks: dict[int, list[Track]] = field(default_factory=dict)
    shapes: list[tuple[int, int, float]] = field(default_factory=list)
    complaints: int = 0
    complaint: str = ""
    cause: str = ""
    code: str = ""
    signal: int = 0
    _unfinished: bytes = b""
    _inputs_end: bool = False

    def feed(self, piece: bytes) -> None:
        """Parse the next piece of the log; an empty piece ends it."""
        *lines, self._unfinished = (self._unfinished + piece).splitlines(keepends=True) or [b""]
        if not piece or self._unfinished.endswith(b"\n") or len(self._unfinished) > LONGEST_LINE:
            lines, self._unfinished = [*lines, self._unfinished], b""
        for line in lines:
            self._parse(line[:LONGEST_LINE])

    @property
    def outside(self) -> str:
        """Code of a cause that may lie outside the file; empty where there is none."""
        return self.code if self.code in RETRIED else ""

    def explain_memory(self, memory_mib: float, free_mib: float) -> None:
        """Tell a limit of memory that was reached from a machine that had no more to give."""
        if self.code not in ("memory_limit", "no_thread"):
            return
        threads = self.code == "no_thread" and memory_mib >= THREADS_MIB
        if threads or free_mib < memory_mib:
            what = "threads" if threads else "memory"
            self.code, self.cause = "no_resources", f"this machine ran short of {what}"
        else:
            self.code, self.cause = "memory_limit", OUT_OF_MEMORY

    def _parse(self, line: bytes) -> None:
        if error := ERROR.match(line):
            self._add_error(error[1].decode(errors="replace").strip())
        elif count := FRAME_COUNT.match(line):
            video = int(count[1])
            self.decoded[video] = max(self.decoded.get(video, 0), int(count[2]))
        elif track := parse_track(line):
            if not self._inputs_end:
                self.tracks.setdefault(track[0], []).append(track[1])
        elif pictures := PICTURES.match(line):
            width, height, over, under = map(int, pictures.groups())
            self.shapes.append((width, height, width * (over or 1) / (height * (under or 1))))
        elif asked := SIGNAL.match(line):
            self.signal = int(asked[1])
        self._inputs_end |= line.startswith(b"[info] Stream mapping")

    def _add_error(self, text: str) -> None:
        self.complaints += 1
        if text and (not self.complaint or (GENERAL.match(self.complaint) and not _general(text))):
            self.complaint = text
        for words, (code, cause) in CAUSES.items():
            if words in text and self.code in ("", "no_thread"):
                self.code, self.cause = code, cause


def _general(text: str) -> bool:
    return GENERAL.match(text) is not None


def frame_lines(lines: bytes) -> tuple[list[int], list[float]]:
    """Parse the numbers and times, in seconds, of the frames from ``14 7168 1/12800 7168 1/12800``.

    The first time is that of ffmpeg, which estimates it where there is none and never repeats
    one; the second is that of the file, and is taken where the file has one.
    """
    numbers, times = [], []
    for line in lines.decode().splitlines():
        number, *both = line.split()
        numbers.append(int(number))
        estimated, own = _seconds(*both[:2]), _seconds(*both[2:])
        times.append(estimated if math.isnan(own) else own)
    return numbers, times


def _seconds(ticks: str, tick: str) -> float:
    over, under = map(int, tick.split("/"))
    # Where there is no time, ffmpeg writes the smallest 64-bit number.
    known = abs(int(ticks)) < NO_TIME and under
    return int(ticks) * over / under if known else math.nan
