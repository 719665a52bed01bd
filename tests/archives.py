"""Archives for tests: made from a folder of files, or member by member by hand."""

import io
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

Member = tuple[str, bytes]


def files_of(folder: Path) -> list[Member]:
    """Path and content of every file below a folder, sorted."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in found]


def write_tar(path: Path, members: Iterable[Member], mode: str = "w") -> Path:
    """Write a tar; its mode, as ``w:gz``, tells the compression."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def write_headers(path: Path, headers: Iterable[tarfile.TarInfo], more: Iterable[Member]) -> Path:
    """Write a tar of headers without content, and of files behind them."""
    with tarfile.open(path, "w") as archive:
        for header in headers:
            archive.addfile(header)
        for name, content in more:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def write_zip(path: Path, members: Iterable[Member]) -> Path:
    """Write a zip with compression."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def write_parts(folder: Path, stem: str, whole: bytes, size: int) -> Path:
    """Split an archive by bytes into ``stem-00`` and so on; return the first."""
    for number, start in enumerate(range(0, len(whole), size)):
        (folder / f"{stem}-{number:02}").write_bytes(whole[start : start + size])
    return folder / f"{stem}-00"


def rar4(members: Iterable[Member]) -> bytes:
    """Return a RAR of version 4 that stores its members without compression."""

    def block(kind: int, flags: int, body: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    blocks = [b"Rar!\x1a\x07\x00", block(0x73, 0, bytes(6))]
    for name, content in members:
        size, text = len(content), name.encode()
        date, version, stored, unix = 0x50210000, 20, 0x30, 3
        about = (size, size, unix, zlib.crc32(content), date, version, stored, len(text), 0x81A4)
        blocks.append(block(0x74, 0x8000, struct.pack("<IIBIIBBHI", *about) + text) + content)
    return b"".join([*blocks, block(0x7B, 0x4000, b"")])


def rar5(members: Iterable[Member]) -> bytes:
    """Return a RAR of version 5 that stores its members without compression."""

    def number(value: int) -> bytes:
        low, rest = value & 127, value >> 7
        return bytes([low | 128]) + number(rest) if rest else bytes([low])

    def block(kind: int, body: bytes, content: bytes | None = None) -> bytes:
        flags = b"\x00" if content is None else b"\x02" + number(len(content))
        head = number(kind) + flags + body
        head = number(len(head)) + head
        return struct.pack("<I", zlib.crc32(head)) + head + (content or b"")

    blocks = [b"Rar!\x1a\x07\x01\x00", block(1, b"\x00")]
    for name, content in members:
        text = name.encode()
        about = [b"\x04", number(len(content)), number(0o100644)]
        about += [struct.pack("<I", zlib.crc32(content)), b"\x00\x01", number(len(text)), text]
        blocks.append(block(2, b"".join(about), content))
    return b"".join([*blocks, block(5, b"\x00")])


def _tar(root: Path, files: Path) -> None:
    subprocess.run(["tar", "-cf", root / "all.tar", "-C", files, "."], check=True)


def _tar_gz(root: Path, files: Path) -> None:
    for number in range(3):
        members = files_of(files)[number::3]
        write_tar(root / f"part_{number}.tar.gz", members, "w:gz")


def _zip(root: Path, files: Path) -> None:
    write_zip(root / "all.zip", files_of(files))


def _split(root: Path, files: Path) -> None:
    whole = write_tar(root / "all.tgz", files_of(files), "w:gz")
    write_parts(root, "20bn-something-something-v2", whole.read_bytes(), 10_000)
    whole.unlink()


def _rar(root: Path, files: Path) -> None:
    (root / "all.rar").write_bytes(rar4(files_of(files)))


def _rar5(root: Path, files: Path) -> None:
    (root / "all.rar").write_bytes(rar5(files_of(files)))


def _rar_of_rars(root: Path, files: Path) -> None:
    inner = [
        (f"{folder.name}.rar", rar4((f"{folder.name}/{name}", c) for name, c in files_of(folder)))
        for folder in sorted(files.iterdir())
    ]
    (root / "all.rar").write_bytes(rar4(inner))


# From an empty folder and one of files: archives in the first that hold the second.
FORMS: dict[str, Callable[[Path, Path], None]] = {
    "tar": _tar,
    "tar.gz": _tar_gz,
    "zip": _zip,
    "split": _split,
    "rar": _rar,
    "rar5": _rar5,
    "rar of rars": _rar_of_rars,
}
