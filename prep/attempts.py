"""Attempts at one video: where the cause of a failure may lie outside the file, it is tried again.

A process that was killed, a disk that failed for a moment and a machine without memory say nothing
about the file. What still fails so after the last attempt is tried again by the next prep.
"""

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from prep.clip import PASSING, Clip, UnreadableVideo

PAUSES = (0.2, 1.0)  # seconds before the second and the third attempt
# A limit of memory may have been reached because the machine had none left.
RETRIED = (*PASSING, "memory_limit")
READ_BYTES = 1 << 20
# What the operating system says when a file is opened or read: code, and a noun for some.
ERRORS = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "vanished"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "permission"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN), "no_resources"),
    **dict.fromkeys((errno.ENOBUFS, errno.ENOLCK, errno.EINTR), "no_resources"),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV), "read_error"),
    **dict.fromkeys((errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNRESET), "read_error"),
    **dict.fromkeys((errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN), "read_error"),
    **dict.fromkeys((errno.ENETUNREACH, errno.ECONNABORTED, errno.EBUSY), "read_error"),
}
WORDS = {"read_error": "the disk reports a read error", "no_resources": "this machine ran short"}

Outcome = Clip | UnreadableVideo


def with_attempts(attempt: Callable[[int], Outcome], files: Sequence[Path]) -> Outcome:
    """Return the outcome of up to three attempts; each gets its own number, 0 to 2.

    files: what is read. A decoder also reports a read error where a file is damaged. So where all
    of them can be read, and the next attempt ends like the one before, the cause is in the file.
    """
    outcome = _guarded(attempt, 0)
    for number, pause in enumerate(PAUSES, start=1):
        cause = outcome_code(outcome)
        if cause not in RETRIED:
            return outcome
        sound = _may_be_own(outcome) and all(map(reads_whole, files))
        if not sound:
            time.sleep(pause)
        outcome = _guarded(attempt, number)
        if sound and outcome_code(outcome) == cause:
            return _own(outcome)
    return _settled(outcome)


def outcome_code(outcome: Outcome) -> str:
    """Return the code of a failure, or of a doubt whether a clip is whole; empty for none."""
    return outcome.doubt if isinstance(outcome, Clip) else outcome.code


def reads_whole(path: Path) -> bool:
    """True where a file can be read to its end now."""
    try:
        with path.open("rb") as file:
            while file.read(READ_BYTES):
                pass
    except OSError:
        return False
    return True


def error_code(error: OSError) -> str:
    """Return the code of an error of the operating system; empty where it names no known cause."""
    return ERRORS.get(error.errno or 0, "")


def outside(error: OSError | MemoryError) -> UnreadableVideo:
    """Return the reason for an error of the operating system, without the path of the file."""
    if isinstance(error, MemoryError):
        return _SystemError("this machine ran short of memory", code="no_resources")
    code = error_code(error) or "read_error"
    text = error.strerror or "unknown error"
    return _SystemError(f"{WORDS[code]} ({text})" if code in WORDS else text, code=code)


def _may_be_own(outcome: Outcome) -> bool:
    """True where a decoder reported the cause, and not the operating system itself."""
    code = outcome_code(outcome)
    return code in ("read_error", "vanished") and not isinstance(outcome, _SystemError)


class _SystemError(UnreadableVideo):
    pass


def _guarded(attempt: Callable[[int], Outcome], number: int) -> Outcome:
    try:
        return attempt(number)
    except UnreadableVideo as reason:
        return reason
    except (OSError, MemoryError) as error:
        return outside(error)


def _own(outcome: Outcome) -> Outcome:
    """Return an outcome whose cause lies in the file."""
    if isinstance(outcome, Clip):
        return replace(outcome, doubt="")
    return UnreadableVideo("it breaks off where more must follow", code="undecodable")


def _settled(outcome: Outcome) -> Outcome:
    """Return the outcome of the last attempt; a clip is none where part of it may be missing."""
    if isinstance(outcome, Clip) and outcome.doubt in PASSING:
        return UnreadableVideo(f"not read to its end: {outcome.complaint}", code=outcome.doubt)
    return outcome
