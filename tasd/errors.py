"""The error that is shown to the user, several told together, and those of the system as lines."""

import errno
import os
import re
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Found = TypeVar("Found")


class UserError(Exception):
    """A mistake that the user can correct; printed as one line, exit code 1.

    The message names the value, where it came from, the rule that it breaks and the way out.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that are printed, one for each mistake."""
        return (str(self),)


class UserErrors(UserError):
    """Several mistakes of one command, each printed as a line."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self._lines = tuple(dict.fromkeys(line for error in errors for line in error.lines))
        super().__init__("; ".join(self._lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that are printed, one for each mistake."""
        return self._lines


class Mistakes:
    """Checks that do not wait for one another, so that all mistakes are told together.

    with Mistakes() as mistakes:
        mistakes.of(check_backbone, name)
        mistakes.of(check_store, path)

    The block ends with `UserErrors` where a check failed, or the `UserError` of the only one.
    """

    def __init__(self) -> None:
        self._errors: list[UserError] = []

    def of(
        self, check: Callable[Given, Found], /, *args: Given.args, **options: Given.kwargs
    ) -> Found | None:
        """Return what ``check`` returns; None where it raised `UserError`, which is kept."""
        try:
            return check(*args, **options)
        except UserError as error:
            self.add(error)
            return None

    def add(self, error: UserError) -> None:
        """Keep an error for the end."""
        self._errors.append(error)

    def tell(self) -> None:
        """Raise what was found so far, if anything."""
        if len(self._errors) > 1:
            raise UserErrors(self._errors) from None
        if self._errors:
            raise self._errors[0] from None

    def __enter__(self) -> "Mistakes":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        if isinstance(error, UserError):
            self.add(error)
        if error is None or isinstance(error, UserError):
            self.tell()


# What to do about an error of the system.
_WAYS_OUT = {
    errno.ENOSPC: "free some space there, or choose another place; what was written before stays",
    errno.EDQUOT: "free some of your quota, or choose another place; what was written before stays",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose another place",
    errno.EROFS: "the file system can only be read (now): mount it for writing, or choose another",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.ENOENT: "it is not there, or no longer: was it removed or renamed meanwhile?",
    errno.EIO: "the disk cannot be read or written there; see the log of the system",
    errno.ESTALE: "it was removed on its server while it was in use; start again",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of the path is a file; choose another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.EADDRINUSE: "another program has the port; choose another with --port",
}
_NUMBER = re.compile(r"(?:os error |errno = )(\d+)")
_TEMPORARY = "No usable temporary directory"
_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")
# What to lower, by the command.
_LOWER = {
    "train": "lower --crop, --way, --queries or --set data.frames, or add --set "
    "network.gradient_checkpointing=true",
    "evaluate": "lower --batch, or add --half",
    "features": "add --half, or leave out --maps",
    "prep": "lower --workers or --size",
    "predict": "take a smaller --backbone, or label fewer clips at a time",
    "reproduce": "lower --crop, --way or --queries, or add --set "
    "network.gradient_checkpointing=true",
}


def cause(error: BaseException) -> str:
    """Return the reason of the system for a failed write, also where a library wraps it in words.

    safetensors and HDF5 give its number in their texts.
    """
    number = getattr(error, "errno", None)
    found = _NUMBER.search(str(error)) if number is None else None
    if found is not None:
        number = int(found[1])
    if number == errno.ENOSPC:
        return "the disk is full"
    text = os.strerror(number) if number is not None else str(error).partition("\n")[0][:160]
    return text or type(error).__name__


def quiet_threads() -> None:
    """Let no thread print a traceback of an error that `told` makes a line of elsewhere."""

    def hook(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is None or told(ended.exc_value) is None:
            threading.__excepthook__(ended)

    threading.excepthook = hook


def told(error: BaseException, *, command: str = "") -> UserError | None:
    """Return an error of the system or of memory as a line; None where it is neither.

    command: of tasd, such as train, for what to lower where memory ends.
    """
    if isinstance(error, UserError):
        return error
    text = str(error)
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text.lower() for words in _MEMORY)
    ):
        first = (text.splitlines() or [""])[0].split(". ")[0][:160]
        device = "the GPU has" if "CUDA" in text else "this machine has"
        lower = _LOWER.get(command, "take a smaller input")
        return UserError(f"{device} no memory left ({first or 'MemoryError'}); {lower}")
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if text and _TEMPORARY in text:
        return UserError(
            f"{error.strerror}; free some space there, or set TMPDIR to another folder"
        )
    place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    if not place and error.errno == errno.ENOSPC:
        place = "standard output or a temporary file: "
    way_out = _WAYS_OUT.get(error.errno, "correct that, and start again")
    return UserError(f"{place}{cause(error)}; {way_out}")
