"""Kinds of files by their first bytes: containers of videos, and what is surely no video."""

from pathlib import Path

HEAD_BYTES = 4096
EDGE_BYTES = 1 << 18  # of the beginning and the end, where headers are
# For files that are no videos: the first bytes of each kind. (offset, bytes): code, noun.
MAGIC = {
    (0, b"version https://git-lfs"): ("git_lfs_pointer", "a git-lfs pointer, not the file itself"),
    (0, b"PK\x03\x04"): ("archive", "an archive (zip)"),
    (0, b"PK\x05\x06"): ("archive", "an archive (zip)"),
    (0, b"Rar!\x1a\x07"): ("archive", "an archive (rar)"),
    (0, b"7z\xbc\xaf\x27\x1c"): ("archive", "an archive (7z)"),
    (0, b"\x1f\x8b"): ("archive", "an archive (gzip)"),
    (0, b"BZh"): ("archive", "an archive (bzip2)"),
    (0, b"\xfd7zXZ\x00"): ("archive", "an archive (xz)"),
    (0, b"\x28\xb5\x2f\xfd"): ("archive", "an archive (zstd)"),
    (257, b"ustar"): ("archive", "an archive (tar)"),
    (0, b"\x89PNG\r\n"): ("image", "an image (PNG)"),
    (0, b"\xff\xd8\xff"): ("image", "an image (JPEG)"),
    (8, b"WEBP"): ("image", "an image (WebP)"),
    (0, b"BM"): ("image", "an image (BMP)"),
    (0, b"II*\x00"): ("image", "an image (TIFF)"),
    (0, b"MM\x00*"): ("image", "an image (TIFF)"),
    (4, b"ftypheic"): ("image", "an image (HEIC)"),
    (4, b"ftypheix"): ("image", "an image (HEIC)"),
    (0, b"\xff\x0a"): ("image", "an image (JPEG XL)"),
    (4, b"JXL \x0d\x0a"): ("image", "an image (JPEG XL)"),
    (4, b"jP  \x0d\x0a"): ("image", "an image (JPEG 2000)"),
    (4, b"ftypmif1"): ("image", "an image (HEIF)"),
    (4, b"ftypavif"): ("image", "an image (AVIF)"),
    (0, b"ID3"): ("audio", "an audio file (MP3)"),
    (0, b"\xff\xfb"): ("audio", "an audio file (MP3)"),
    (0, b"\xff\xf3"): ("audio", "an audio file (MP3)"),
    (0, b"\xff\xf1"): ("audio", "an audio file (AAC)"),
    (0, b"\xff\xf9"): ("audio", "an audio file (AAC)"),
    (0, b"fLaC"): ("audio", "an audio file (FLAC)"),
    (8, b"AIFF"): ("audio", "an audio file (AIFF)"),
    (0, b"#!AMR"): ("audio", "an audio file (AMR)"),
    (4, b"ftypM4B"): ("audio", "an audio file (M4B)"),
    (8, b"WAVE"): ("audio", "an audio file (WAV)"),
    (4, b"ftypM4A"): ("audio", "an audio file (M4A)"),
    (28, b"OpusHead"): ("audio", "an audio file (Opus)"),
    (28, b"\x01vorbis"): ("audio", "an audio file (Vorbis)"),
    (0, b"%PDF-"): ("document", "a document (PDF)"),
    (0, b"\xd0\xcf\x11\xe0"): ("document", "an office document"),
    (0, b"\x7fELF"): ("program", "a program"),
    (0, b"MZ"): ("program", "a program"),
    (0, b"\xcf\xfa\xed\xfe"): ("program", "a program"),
    (0, b"\x93NUMPY"): ("data", "a data file (NumPy)"),
    (0, b"d8:announce"): ("data", "a torrent, not the file itself"),
    (0, b"bplist00"): ("data", "a data file (property list)"),
    (0, b"\x89HDF"): ("data", "a data file (HDF5)"),
    (0, b"SQLite format 3"): ("data", "a database (SQLite)"),
}
HTML = (b"<!doctype html", b"<html", b"<head", b"<body", b"<!--")
VIDEO = {
    (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (4, b"free"), (4, b"skip"),
    (8, b"AVI "), (0, b"\x1a\x45\xdf\xa3"), (0, b"FLV\x01"), (0, b"\x30\x26\xb2\x75"),
    (0, b"\x00\x00\x01\xba"), (0, b"\x00\x00\x01\xb3"), (0, b"\x00\x00\x01\xb0"),
    (0, b"\x00\x00\x00\x01"), (0, b"\x00\x00\x01\x67"), (0, b"\x00\x00\x01\x40"),
    (0, b"OggS"), (0, b".RMF"), (0, b"DKIF"), (0, b"GIF8"), (0, b"\x06\x0e\x2b\x34"),
    (0, b"nut/multimedia"), (0, b"\xb7\xd8\x00\x20"), (0, b"NSVf"), (0, b"BBCD"),
    (0, b"\x1f\x07\x00"),
}  # fmt: skip
STREAM_PACKET = 188  # bytes of MPEG-TS; 192 with a time before each, as cameras record


def not_a_video(head: bytes) -> tuple[str, str] | None:
    """Return code and noun for the beginning of a file that is surely no video, else None."""
    if head and not head.strip(b"\0"):
        return "zeros", "nothing but zero bytes, as an unfinished download has"
    for (at, magic), found in MAGIC.items():
        if head[at:].startswith(magic):
            return found
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    lower = text.lower()
    if lower.startswith(HTML) or (lower.startswith(b"<?xml") and b"<html" in lower):
        return "html", "an HTML page, not a video"
    if lower.startswith(b"<?xml"):
        return "text", "a text (XML), not a video"
    return ("text", "a text, not a video") if head and _is_text(head) else None


def looks_like_video(head: bytes) -> bool:
    """True where a file begins as one of the containers that prep opens."""
    if not_a_video(head):
        return False
    packets = any(
        len(head) > first + 2 * width and all(head[first + at * width] == 0x47 for at in range(3))
        for first, width in ((0, STREAM_PACKET), (4, STREAM_PACKET + 4))
    )
    return packets or any(head[at:].startswith(magic) for at, magic in VIDEO)


def file_head(path: Path) -> bytes:
    """Read the beginning of a file; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def is_encrypted(path: Path) -> bool:
    """True where the header of an MP4 or MOV says that its video track is encrypted."""
    try:
        with path.open("rb") as file:
            head = file.read(EDGE_BYTES)
            file.seek(max(0, file.seek(0, 2) - EDGE_BYTES))
            edges = (head, file.read()) if head[4:8] == b"ftyp" else ()
            # The box of an encrypted track, and within it the one that names the scheme.
            named = any(0 < edge.find(b"encv") < edge.find(b"sinf") for edge in edges)
            # Without media data it is only the beginning of a stream.
            return named and any(b"mdat" in edge for edge in edges)
    except OSError:
        return False


def _is_text(head: bytes) -> bool:
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return head[:2] in (b"\xff\xfe", b"\xfe\xff") and head.count(0) * 2 >= len(head) - 4
    try:
        head[: len(head) - 3 if len(head) == HEAD_BYTES else None].decode()
    except UnicodeDecodeError:
        # In an older encoding most of it is plain ASCII nevertheless.
        return sum(byte < 127 for byte in head) > 0.7 * len(head)
    return True
