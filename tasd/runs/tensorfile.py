"""A file of named tensors with a digest of each: checkpoints from format 2 on.

The layout is that of safetensors: eight bytes with the length of the header, the header in JSON,
the tensors one after the other. Any reader of safetensors opens it. The last tensor, `DIGEST`,
holds the CRC-32 of all bytes before the tensors and of each tensor. Nothing is ever executed.

A CRC-32 costs a third of a sha256, which takes about as long as writing the file. It finds every
damage within 32 bits in a row, and of all others all but one in four thousand million.
"""

import contextlib
import hashlib
import json
import math
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from tasd.files import as_json
from tasd.runs.memory import bytes_of, inverse, order_of

DIGEST = "crc32"
# A header is far smaller: 300 bytes a tensor. Limits what is read before anything is known.
LARGEST_HEADER = 32 << 20
LARGEST_DIMENSION = 1 << 40
# Tensors begin at a multiple of this many bytes. So the size of a file is known before it is
# written, whatever digits the accuracy in its header will have.
BLOCK = 4096
# Pieces that are read or written, and summed while they are in the cache of a core.
PIECE = 1 << 20

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}


class DamagedFile(ValueError):
    """The bytes are not those that were written; the message says what is wrong."""


@dataclass(frozen=True)
class Entry:
    """A tensor as the header describes it; order: that of its dimensions in memory."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    size: int
    order: tuple[int, ...] | None = None

    @property
    def logical(self) -> tuple[int, ...]:
        """The shape that the tensor has once its dimensions are in their order."""
        return self.shape if self.order is None else tuple(self.shape[i] for i in self.order)


@dataclass(frozen=True)
class Header:
    """Everything but the tensors' bytes. about: what the writer noted. start: of the tensors."""

    about: Mapping[str, Any]
    entries: Mapping[str, Entry]
    start: int
    raw: bytes


@dataclass(frozen=True)
class TensorFile:
    """The content of a file: tensors, the notes of its writer, and the sha256 of all bytes."""

    about: Mapping[str, Any]
    tensors: dict[str, Tensor]
    sha256: str


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and ``about``, plain values for JSON. Raises `OSError`."""
    header = _header(tensors, about)
    with path.open("wb") as file:
        sums = [_write(file, memoryview(header))]
        for tensor in tensors.values():
            order = order_of(tensor)
            laid = tensor.detach() if order is None else tensor.detach().permute(order)
            sums.append(_write(file, bytes_of(laid.cpu().contiguous())))
        file.write(b"".join(map(_sum, sums)))


def file_bytes(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> int:
    """Return the bytes of the file that `write_tensors` would write."""
    content = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return len(_header(tensors, about)) + content + 8 * (len(tensors) + 1)


def _header(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """Return what stands before the tensors, with its own length."""
    tree: dict[str, Any] = {}
    offset, orders = 0, dict[str, tuple[int, ...]]()
    for name, tensor in tensors.items():
        order = order_of(tensor)
        shape = list(tensor.shape)
        if order is not None:
            orders[name] = inverse(order)
            shape = [shape[i] for i in order]
        end = offset + tensor.numel() * tensor.element_size()
        tree[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": shape,
            "data_offsets": [offset, end],
        }
        offset = end
    size = 8 * (len(tensors) + 1)
    tree[DIGEST] = {
        "dtype": "I64",
        "shape": [len(tensors) + 1],
        "data_offsets": [offset, offset + size],
    }
    noted = {"format": "pt", "tasd": as_json(about), "orders": as_json(orders)}
    header = as_json({"__metadata__": noted, **tree}, separators=(",", ":"), ascii=True).encode()
    header += b" " * (-(8 + len(header)) % BLOCK)
    return len(header).to_bytes(8, "little") + header


def _write(file: IO[bytes], content: memoryview) -> int:
    """Write bytes and return their CRC-32; the disk works on them while the next are written."""
    crc = 0
    for begin in range(0, len(content), PIECE):
        piece = content[begin : begin + PIECE]
        crc = zlib.crc32(piece, crc)
        file.write(piece)
        if len(piece) == PIECE:
            _to_disk(file, length=PIECE)
    return crc


def _to_disk(file: IO[bytes], *, length: int) -> None:
    """Begin to flush the last bytes, without waiting; pages that wait for the disk stay cached."""
    with contextlib.suppress(OSError, AttributeError):
        begin = file.tell() - length
        os.posix_fadvise(file.fileno(), begin, length, os.POSIX_FADV_DONTNEED)


def read_header(file: IO[bytes]) -> Header:
    """Read what stands before the tensors, and check that their sizes are those of the file.

    Raises `DamagedFile`: no size is trusted before the whole of them is the file's own.
    """
    size = os.fstat(file.fileno()).st_size
    first = file.read(8)
    length = int.from_bytes(first, "little")
    if len(first) < 8 or length > min(size - 8, LARGEST_HEADER):
        raise DamagedFile("its header has no possible length")
    raw = file.read(length)
    try:
        tree = json.loads(raw)
        noted = tree.pop("__metadata__")
        about, orders = json.loads(noted["tasd"]), json.loads(noted["orders"])
        if not isinstance(about, dict):
            raise TypeError("about")
        entries, offset = {}, 0
        for name, found in tree.items():
            entries[name] = _entry(found, offset, orders.get(name))
            offset += entries[name].size
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = (str(error) or type(error).__name__)[:80]
        raise DamagedFile(f"its header cannot be read: {reason}") from None
    if 8 + length + offset != size:
        raise DamagedFile(f"its header speaks of {8 + length + offset:,} bytes, it has {size:,}")
    if next(reversed(entries), None) != DIGEST or entries[DIGEST].size != 8 * len(entries):
        raise DamagedFile("it has no digest")
    return Header(about=about, entries=entries, start=8 + length, raw=first + raw)


def read_tensors(
    file: IO[bytes],
    *,
    device: torch.device | str = "cpu",
    check: Callable[[Header], None] | None = None,
) -> TensorFile:
    """Read a file from its beginning and hold it against its digest.

    check: is called with the header, before memory is taken for any tensor. Raises `DamagedFile`.
    """
    header = read_header(file)
    if check is not None:
        check(header)
    tensors: dict[str, Tensor] = {}
    sums = [zlib.crc32(header.raw)]
    with _Hashing() as digest:
        digest.update(header.raw)
        for name, entry in header.entries.items():
            if name == DIGEST:
                break
            tensor = torch.empty(entry.shape, dtype=entry.dtype)
            sums.append(_fill(file, bytes_of(tensor), digest))
            if entry.order is not None:
                tensor = tensor.permute(entry.order)
            tensors[name] = tensor.to(device)
        expected = file.read()
        _refuse_differing(("header", *tensors), sums, expected)
        digest.update(expected)
        return TensorFile(about=header.about, tensors=tensors, sha256=digest.hexdigest())


def all_finite(tensors: Iterator[tuple[str, Tensor]]) -> str | None:
    """Return the name of the first tensor that holds inf or NaN, None where all are finite.

    A sum is not finite where one of its terms is not: one pass at the speed of memory, and one
    number that is waited for from each device.
    """
    found = [(name, tensor.detach()) for name, tensor in tensors if tensor.is_floating_point()]
    totals: dict[torch.device, Tensor] = {}
    for _, tensor in found:
        total = tensor.sum().float()
        totals[tensor.device] = totals.get(tensor.device, torch.zeros_like(total)) + total
    if all(math.isfinite(float(total)) for total in totals.values()):
        return None
    # Sums of large finite terms may overflow.
    return next((name for name, tensor in found if not bool(torch.isfinite(tensor).all())), None)


class _Hashing:
    """A sha256 that is computed in a thread, in the order of the updates."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> "_Hashing":
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def update(self, part: bytes | memoryview) -> None:
        """Add bytes, which must stay as they are until `hexdigest`."""
        self._thread.submit(self._hash.update, part)

    def hexdigest(self) -> str:
        """Return the digest of all parts so far."""
        return self._thread.submit(self._hash.hexdigest).result()


def _entry(found: Mapping[str, Any], offset: int, order: Any) -> Entry:
    dtype, shape = _DTYPES[found["dtype"]], tuple(found["shape"])
    if not all(type(n) is int and 0 <= n < LARGEST_DIMENSION for n in shape):
        raise ValueError(f"a shape of {shape}")
    size = math.prod(shape) * dtype.itemsize
    if found["data_offsets"] != [offset, offset + size]:
        raise ValueError("tensors that overlap or leave gaps")
    if order is not None and sorted(order) != list(range(len(shape))):
        raise ValueError(f"an order of {order}")
    return Entry(dtype=dtype, shape=shape, size=size, order=None if order is None else tuple(order))


def _fill(file: IO[bytes], memory: memoryview, digest: _Hashing) -> int:
    """Read into ``memory``, hash in a thread, and return the CRC-32."""
    crc = 0
    for begin in range(0, len(memory), PIECE):
        piece = memory[begin : begin + PIECE]
        if file.readinto(piece) != len(piece):  # type: ignore[attr-defined]
            raise DamagedFile("it ends too early")
        digest.update(piece)
        crc = zlib.crc32(piece, crc)
    return crc


def _sum(crc: int) -> bytes:
    return crc.to_bytes(8, "little")


def _refuse_differing(names: tuple[str, ...], sums: list[int], expected: bytes) -> None:
    """Raise `DamagedFile` with the first part whose sum is not the one that was written."""
    for index, (name, crc) in enumerate(zip(names, sums, strict=True)):
        if expected[8 * index : 8 * index + 8] != _sum(crc):
            raise DamagedFile(
                f"its bytes are not those that were written: the digest of {name} differs"
            )
