"""Faults of archives and of their members."""

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

# Raised by the libraries for content that is no archive, or is damaged.
DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error),
    *(ValueError, OverflowError, IndexError, KeyError, NotImplementedError, RuntimeError),
)
EARLY_END = "it ends early: download it again"


class ArchiveFault(Exception):
    """A fault after which nothing more can be read from an archive; the text is one line.

    passing: True where the cause may lie outside the archive, so that it is worth another try.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


class MemberFault(Exception):
    """A fault of one member; those behind it can be read. The text is one line."""


@contextmanager
def explained(fault: type[ArchiveFault] | type[MemberFault] = ArchiveFault) -> Iterator[None]:
    """Raise the errors of libraries for damaged content as a fault, in one line."""
    try:
        yield
    except DAMAGE as error:
        raise fault(_reason(error)) from None
    except OSError as error:
        if error.errno is None:  # of gzip and bz2, for damaged content
            raise fault(_reason(error)) from None
        raise


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, EOFError) or "unexpected end" in text or "incomplete" in text:
        return EARLY_END
    return f"it is damaged ({text[:200] or type(error).__name__}): download it again"
