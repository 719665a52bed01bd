"""Files written whole or not at all, who writes them, and JSON documents with a version."""

import contextlib
import functools
import hashlib
import json
import math
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tasd.errors import UserError, cause

_UNIQUE = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.writing$")


@contextlib.contextmanager
def replacing(path: Path, *, one_writer: bool = False) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; flush and rename the file written there to ``path``.

    Makes missing folders. Where the block raises, the temporary file is removed and ``path``
    stays the old file. The name is hidden and unique, so that two writers do not meet; it names the
    process, and what a killed process of this host left for ``path`` is removed.

    one_writer: for large files that only one process writes. The name is always the same, so that
    the next write replaces what a killed process left.

    Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = "" if one_writer else f".{host_tag()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    _remove_stale(path)
    temporary = path.with_name(f".{path.name}{unique}.writing")
    temporary.unlink(missing_ok=True)
    try:
        with naming(path):
            yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an `OSError` of the block the name of its file, which a failed write does not know."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Remove the temporary files for ``path`` whose writer was killed on this host."""
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            found = _UNIQUE.search(name) if name.startswith(f".{path.name}.") else None
            ours = found is not None and found["host"] == host_tag()
            if found and ours and not is_running(int(found["pid"])):
                path.with_name(name).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all. Raises `UserError`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises `UserError`."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({cause(error)}); choose another place or free some space"
        ) from None


def as_json(
    content: Any,
    *,
    indent: int | None = None,
    ascii: bool = False,
    sort_keys: bool = False,
    default: Callable[[Any], Any] | None = None,
    separators: tuple[str, str] | None = None,
) -> str:
    """Return a JSON text; numbers that are not finite, which JSON has not, become null.

    No other function of tasd writes JSON. ascii: escape all characters but those of ASCII; a text
    that holds halves of characters, as of file names that are not UTF-8, always is, since no file
    takes them. sort_keys, default, separators: as of ``json.dumps``.
    """
    write = functools.partial(
        json.dumps,
        indent=indent,
        allow_nan=False,
        sort_keys=sort_keys,
        default=default,
        separators=separators,
    )
    try:
        text = write(content, ensure_ascii=ascii)
    except ValueError:
        content = _finite(content)
        text = write(content, ensure_ascii=ascii)
    return text if _whole(text) else write(content, ensure_ascii=True)


def _whole(text: str) -> bool:
    """True where no half of a character stands in a text."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_json(path: Path, content: Mapping[str, Any], *, indent: int | None = None) -> None:
    """Write a JSON document whole or not at all; see `as_json`. Raises `UserError`."""
    write_text(path, as_json(content, indent=indent) + "\n")


def read_json(
    path: Path,
    *,
    format: str | None,
    version: int,
    what: str,
    way_out: str,
    older: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Read a JSON document that tasd wrote, and check its format and version.

    format: the value of its key "format", or None for documents without that key.
    what: the document's name in messages, as in "a result of tasd evaluate".
    way_out: the end of a message, as in "run tasd evaluate again".
    older: further versions that are read.

    Raises `UserError` where the file cannot be read, is no JSON object, or has another format or
    version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read ({reason}); {way_out}") from None
    if not isinstance(content, dict) or (format is not None and content.get("format") != format):
        raise UserError(f"{path} is not {what}; {way_out}")
    if content.get("version") not in (version, *older):
        raise UserError(
            f"{path} has version {content.get('version')!r} of its format, this tasd reads "
            f"version {version}; {way_out}"
        )
    return content


DIGEST = "sha256"  # of a document: the key that holds the digest of all others


def with_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document for `write_json` with its digest as the last key."""
    return {**content, DIGEST: _digest(content)}


def without_digest(content: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a document without its digest, and True where it carried one.

    Raises `ValueError` where the digest is that of another content.
    """
    if DIGEST in content and content[DIGEST] != _digest(content):
        raise ValueError("it is not as it was written: its sha256 is that of another content")
    return {key: value for key, value in content.items() if key != DIGEST}, DIGEST in content


def _digest(content: Mapping[str, Any]) -> str:
    # As it will be read: texts as keys, lists for tuples, null for what is not finite.
    read = json.loads(as_json({key: value for key, value in content.items() if key != DIGEST}))
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()


@functools.lru_cache(maxsize=1)
def host() -> str:
    """The name of this host."""
    return socket.gethostname()


@functools.lru_cache(maxsize=1)
def host_tag() -> str:
    """Eight hexadecimal digits for the host, this start of it, and its process numbers.

    Two containers of one name, and a host before and after a restart, have different tags: the
    number of a process of one says nothing in the other.
    """
    parts = [host()]
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")):
        try:
            parts.append(path.read_text() if path.name == "boot_id" else str(path.stat().st_ino))
        except OSError:
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def is_running(pid: int) -> bool:
    """True where a process of this host has that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
