"""The layout of a feature file as HDF5 describes it, checked before anything is read or allocated.

This file is also a program of its own: see `tasd.features.opening`, which runs it with limits of
time and memory, because HDF5 may loop for ever, or crash, on a file that is damaged. So it imports
nothing of tasd.
"""

import errno
import math
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np

from tasd.errors import cause
from tasd.files import as_json

REQUIRED = ("features", "video_name", "video_class", "class_name")
TEXTS = ("video_name", "class_name", "class_split", "video_group", "trained_class")
AXES = ("videos", "time", "channels", "height", "width")
DIMENSIONS = {"features": 3, "maps": 5}
RAW_TYPES = {
    "<f2": h5py.h5t.IEEE_F16LE,
    ">f2": h5py.h5t.IEEE_F16BE,
    "<f4": h5py.h5t.IEEE_F32LE,
    ">f4": h5py.h5t.IEEE_F32BE,
}
LONGEST_TEXT = 4096  # bytes of one name
MOST_TEXT = 512 << 20  # bytes of all names of one list
MOST_ATTRIBUTES = 256
# Unpacked, a compressed array may have this many times the bytes of its file, or `SMALL`.
EXPANSION, SMALL = 32, 64 << 20
PIECE = 16 << 20  # bytes that are unpacked at a time


class Refused(Exception):
    """A file that is not as docs/evaluation.md describes; the text goes behind its path."""


def describe(file: h5py.File, *, size: int) -> dict[str, Any]:
    """Return texts, labels and attributes of an open file, and the place of each array.

    size: the length of the file. The place of an array is its offset; None where it must be
    unpacked. Raises `Refused`, and whatever h5py raises on a damaged file.
    """
    missing = [name for name in REQUIRED if file.get(name, getlink=True) is None]
    if missing:
        raise Refused(
            f" has no /{missing[0]}; a feature file needs /{', /'.join(REQUIRED)} "
            "(docs/evaluation.md shows how to write one)"
        )
    attributes = _attributes(file)
    found = {name: _dataset(file, name) for name in (*REQUIRED, *TEXTS, "maps")}
    present = {name: data for name, data in found.items() if data is not None}
    return {
        "attributes": attributes,
        "arrays": {n: _array(n, present[n], size) for n in DIMENSIONS if n in present},
        "texts": {name: _texts(name, present[name], size) for name in TEXTS if name in present},
        "labels": _labels(present["video_class"], size),
    }


def _dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """Return a data set that lies in this file itself; None where there is none."""
    link = file.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise Refused(f": /{name} is a link to elsewhere; write the data into the file itself")
    if file.get(name, getclass=True) is not h5py.Dataset:
        raise Refused(f": /{name} is a group or a type; it must be a data set")
    data = file[name]
    creation = data.id.get_create_plist()
    if creation.get_layout() == h5py.h5d.VIRTUAL or creation.get_external_count():
        raise Refused(f": /{name} lies in other files; write the data into the file itself")
    if data.shape is None:
        raise Refused(f": /{name} is empty; write a value for each video")
    return data


def _check_bounds(name: str, data: h5py.Dataset, size: int) -> None:
    """Refuse data that was never written, lies beyond the end or unpacks to far more."""
    nbytes = math.prod(data.shape) * data.id.get_type().get_size()
    layout, stored = data.id.get_create_plist().get_layout(), data.id.get_storage_size()
    if not nbytes:
        return
    if layout == h5py.h5d.CONTIGUOUS:
        offset = data.id.get_offset()
        if offset is None:
            raise Refused(f": /{name} was never written; write its data")
        if offset + nbytes > size:
            raise Refused(
                f": /{name} is {data.shape}, {nbytes:,} bytes, and the file has {size:,}; write "
                "it again"
            )
    elif stored > size:
        raise Refused(f": /{name} has {stored:,} bytes and the file {size:,}; write it again")
    elif layout == h5py.h5d.CHUNKED:
        if nbytes > max(SMALL, EXPANSION * size):
            raise Refused(
                f": /{name} unpacks to {nbytes:,} bytes from a file of {size:,}; write it without "
                "compression"
            )
        _check_chunks(name, data)


def _check_chunks(name: str, data: h5py.Dataset) -> None:
    chunk = data.chunks
    if math.prod(chunk) * data.id.get_type().get_size() > max(SMALL, EXPANSION * PIECE):
        raise Refused(f": /{name} has chunks of {chunk}; write it with smaller ones")
    wanted = math.prod(-(-side // own) for side, own in zip(data.shape, chunk, strict=True))
    if data.id.get_num_chunks() != wanted:
        raise Refused(f": parts of /{name} were never written; write all of it")


def _array(name: str, data: h5py.Dataset, size: int) -> dict[str, Any]:
    dimensions = DIMENSIONS[name]
    if data.ndim != dimensions or 0 in data.shape:
        axes = ", ".join(AXES[:dimensions])
        raise Refused(f": /{name} is {data.shape}; it must be ({axes})")
    if data.dtype.kind != "f" or data.dtype.itemsize not in (2, 4):
        raise Refused(f": /{name} is {data.dtype}; write it as float32 or float16")
    _check_bounds(name, data, size)
    raw = RAW_TYPES.get(data.dtype.str)
    plain = raw is not None and raw.equal(data.id.get_type())
    contiguous = data.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
    offset = data.id.get_offset() if plain and contiguous else None
    dtype = data.dtype.str if offset is not None else data.dtype.newbyteorder("=").str
    return {"dtype": dtype, "shape": list(data.shape), "offset": offset}


def _texts(name: str, data: h5py.Dataset, size: int) -> list[str]:
    kind = h5py.check_string_dtype(data.dtype)
    if kind is None or data.ndim != 1:
        raise Refused(f": /{name} is {data.dtype} {data.shape}; it must be a list of strings")
    if kind.length is not None and kind.length > LONGEST_TEXT:
        raise Refused(_too_long(name, kind.length))
    _check_bounds(name, data, size)
    found: list[str] = []
    total = 0
    for start in range(0, len(data), 4096):
        part = data[start : start + 4096].tolist()
        longest = max(map(len, part))
        total += sum(map(len, part))
        if longest > LONGEST_TEXT or total > MOST_TEXT:
            raise Refused(_too_long(name, max(longest, total if total > MOST_TEXT else 0)))
        try:
            found += [text.decode() if isinstance(text, bytes) else text for text in part]
        except UnicodeDecodeError:
            raise Refused(f": /{name} holds text that is not UTF-8; write it again") from None
    return found


def _too_long(name: str, length: int) -> str:
    return f": /{name} holds a text of {length:,} bytes; {LONGEST_TEXT:,} are allowed"


def _labels(data: h5py.Dataset, size: int) -> list[Any]:
    """Return the class of each video: a number, or its name."""
    if h5py.check_string_dtype(data.dtype) is not None and data.ndim == 1:
        return list(_texts("video_class", data, size))
    if data.dtype.kind not in "iu":
        raise Refused(f": /video_class is {data.dtype}; it must hold integers or names")
    _check_bounds("video_class", data, size)
    return list(data[...].tolist()) if data.ndim == 1 else []


def _attributes(file: h5py.File) -> dict[str, Any]:
    if len(file.attrs) > MOST_ATTRIBUTES:
        raise Refused(f" has {len(file.attrs)} attributes; {MOST_ATTRIBUTES} are allowed")
    return {str(name): _attribute(file, str(name)) for name in file.attrs}


def _attribute(file: h5py.File, name: str) -> Any:
    held = file.attrs.get_id(name)
    text = h5py.check_string_dtype(held.dtype)
    fixed = text.length if text is not None else None
    wrong = f": its attribute {name[:80]!r} is no single string or number; leave it out"
    if held.shape != () or (text is None and held.dtype.kind not in "iufb"):
        raise Refused(wrong)
    if fixed is not None and fixed > LONGEST_TEXT:
        raise Refused(_too_long(f"(attribute {name[:80]})", fixed))
    value = file.attrs[name]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise Refused(_too_long(f"(attribute {name[:80]})", len(value)))
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f": its attribute {name[:80]!r} is {value}; leave it out")
    if not isinstance(value, str | int | float | bool):
        raise Refused(wrong)
    return value


def unpacked(data: h5py.Dataset) -> Iterator[bytes]:
    """Yield the bytes of a data set piece by piece, in the byte order of this machine."""
    row = max(1, math.prod(data.shape[1:]) * data.dtype.itemsize)
    step = max(1, PIECE // row)
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        yield np.ascontiguousarray(piece, piece.dtype.newbyteorder("=")).tobytes()


def main(seconds: int, memory: int) -> int:
    """Describe the file on descriptor 0 on standard output, as a line of JSON.

    The bytes of the arrays that must be unpacked follow. seconds: of processor time. memory: in
    bytes. Returns the exit code: 0, or 3 with the reason on standard error.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    reason: dict[str, str]
    try:
        _answer(sys.stdout.buffer)
        return 0
    except Refused as error:
        reason = {"refused": str(error)}
    except MemoryError:
        reason = {"damaged": f"it needs more than {memory >> 20:,} MiB to open"}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # of the answer: nothing else is written
            reason = {"no_room": cause(error)}
        else:
            reason = _unreadable(error)
    except Exception as error:  # h5py raises many kinds for unexpected content
        reason = _unreadable(error)
    sys.stderr.write(as_json(reason, ascii=True))
    return 3


def _unreadable(error: Exception) -> dict[str, str]:
    text = (str(error) or type(error).__name__).splitlines()[0][:80]
    return {"no_hdf5" if "signature" in text else "damaged": text}


def _answer(out: BinaryIO) -> None:
    size = os.fstat(0).st_size
    with h5py.File("/dev/fd/0", "r", locking=False) as file:
        content = describe(file, size=size)
        out.write(as_json(content, ascii=True).encode() + b"\n")
        for name, place in content["arrays"].items():
            if place["offset"] is None:
                for piece in unpacked(file[name]):
                    out.write(piece)
    out.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
