"""Members of RAR archives, through a program that reads them: bsdtar, unar, or 7z.

bsdtar writes the archive as a tar stream. The others list the members and write their contents
one after another, which are told apart by their sizes and compared with their checksums.
"""

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from prep.archives.faults import ArchiveFault, explained
from prep.archives.find import root_folder
from prep.archives.members import RawKind, RawMember, Reader
from prep.archives.streams import Forward
from prep.archives.tars import stream_members
from tasd.datasets.content import file_head, not_a_video
from tasd.datasets.members import ArchiveFile
from tasd.errors import UserError

PROGRAMS = ("bsdtar", "unar", "7zz", "7z")
RAR = b"Rar!\x1a\x07"
LISTING_SECONDS = 600
WAY_OUT = (
    "no program here reads RAR archives; install one: apt install libarchive-tools (or unar, or "
    "7zip with 7zip-rar), brew install libarchive on a Mac"
)


def rar_programs() -> list[str]:
    """Return the programs of this machine that may read a RAR archive, to be tried in order."""
    found = [name for name in PROGRAMS if shutil.which(name)]
    return [name for name in found if name != "unar" or shutil.which("lsar")]


def check_programs(archives: Sequence[ArchiveFile], root: Path) -> None:
    """Raise `UserError` for RAR archives that no program of this machine reads."""
    named = [archive.path for archive in archives if archive.path.lower().endswith(".rar")]
    if named and not rar_programs():
        raise UserError(f"{root_folder(root) / named[0]} cannot be read: {WAY_OUT}")


def rar_members(path: Path, program: str) -> Reader:
    """Yield the members of a RAR archive by a program. Raises `ArchiveFault`."""
    found = not_a_video(head := file_head(path))
    if not head or not head.startswith(RAR):
        noun = found[1].partition(",")[0] if found else "of unknown content"
        raise ArchiveFault("it is empty" if not head else f"it is {noun}, not a RAR archive")
    if program == "bsdtar":
        yield from _through_tar(path)
        return
    entries = _unar_entries(path) if program == "unar" else _seven_zip_entries(path, program)
    yield from _concatenated(path, program, entries)


def _through_tar(path: Path) -> Reader:
    packed = path.stat().st_size
    with _running(["bsdtar", "-cf", "-", "--format", "pax", f"@{path.absolute()}"]) as run:
        try:
            yield from stream_members(Forward(run.output), lambda: packed)
        except ArchiveFault as fault:
            raise ArchiveFault(run.message() or str(fault)) from None
        run.check()


@dataclass(frozen=True)
class _Entry:
    name: str
    kind: RawKind
    size: int
    crc: int


def _concatenated(path: Path, program: str, entries: Sequence[_Entry]) -> Reader:
    """Yield members from a stream of their contents. Raises `ArchiveFault` where it is short."""
    command = {
        "unar": ["unar", "-quiet", "-no-recursion", "-output-directory", "-", str(path)],
    }.get(program, [program, "x", "-so", "-y", "-p-", str(path)])
    packed = path.stat().st_size
    with _running(command) as run:
        stream = Forward(run.output)
        place = 0
        for entry in entries:
            with explained():
                stream.seek(place)
            if entry.kind == "file":
                place += entry.size
            yield RawMember(
                entry.name,
                entry.kind,
                entry.size,
                lambda entry=entry: _Bounded(stream, entry.size),  # type: ignore[misc]
                lambda: packed,
                crc=entry.crc,
            )
        stream.seek(place)
        if stream.tell() != place or stream.read(1):
            raise ArchiveFault(run.message() or f"{program} gave other bytes than it listed")


class _Bounded:
    """The next bytes of a stream. Raises `EOFError` where they are fewer."""

    def __init__(self, stream: Forward, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes."""
        piece = self._stream.read(min(size, self._left))
        if not piece and self._left and size:
            raise EOFError
        self._left -= len(piece)
        return piece


def _unar_entries(path: Path) -> list[_Entry]:
    try:
        content: Any = json.loads(_output(["lsar", "-json-ascii", "-no-recursion", str(path)]))
        return [_unar_entry(entry) for entry in content["lsarContents"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveFault(f"lsar cannot list it ({type(error).__name__})") from None


def _unar_entry(entry: dict[str, Any]) -> _Entry:
    kind: RawKind = "file"
    if entry.get("XADIsDirectory"):
        kind = "folder"
    elif entry.get("XADIsEncrypted"):
        raise ArchiveFault("it is encrypted")
    elif entry.get("XADIsLink"):
        kind = "link"
    crc = 0 if kind == "folder" else int(entry["RARCRC32"])
    return _Entry(str(entry["XADFileName"]), kind, int(entry.get("XADFileSize", 0)), crc)


def _seven_zip_entries(path: Path, program: str) -> list[_Entry]:
    listed = _output([program, "l", "-slt", "-ba", "-p-", str(path)])
    blocks = [dict(re.findall(r"^(\w[\w ]*) = (.*)$", b, re.M)) for b in listed.split("\n\n")]
    entries = [_seven_zip_entry(block) for block in blocks if "Path" in block]
    if not entries:
        raise ArchiveFault(f"{program} cannot list it")
    return entries


def _seven_zip_entry(block: dict[str, str]) -> _Entry:
    if block.get("Encrypted") == "+":
        raise ArchiveFault("it is encrypted")
    folder = block.get("Folder") == "+"
    crc = int(block.get("CRC") or "0", 16)
    return _Entry(block["Path"], "folder" if folder else "file", int(block.get("Size") or 0), crc)


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=LISTING_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ArchiveFault(f"{command[0]} did not list it in {LISTING_SECONDS} seconds") from None
    return done.stdout.decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class _Run:
    """A running program, its output and its messages."""

    process: "subprocess.Popen[bytes]"
    output: IO[bytes]
    errors: IO[bytes]

    def check(self) -> None:
        """Raise `ArchiveFault` where it failed after its last byte."""
        if code := self.process.wait():
            raise ArchiveFault(self.message() or f"the program ended with code {code}")

    def message(self) -> str:
        """Return its last message; empty where it has none."""
        self.errors.seek(0)
        lines = self.errors.read(1 << 16).decode(errors="replace").split("\n")
        said = [" ".join(line.split()) for line in lines if line.strip()]
        return said[-1][:200] if said else ""


@contextlib.contextmanager
def _running(command: Sequence[str]) -> Iterator[_Run]:
    """Run a program, which ends with the block."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        try:
            yield _Run(process, process.stdout, errors)
        finally:
            process.stdout.close()
            process.kill()
            process.wait()
