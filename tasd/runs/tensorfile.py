"""A file of named tensors with a digest of all its bytes: checkpoints from format 2 on.

The layout is that of safetensors: eight bytes with the length of the header, the header in JSON,
the tensors one after the other. Any reader of safetensors opens it. The last tensor, `DIGEST`,
is the sha256 of all bytes before it. Nothing in the file is ever executed.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from tasd.files import as_json

DIGEST = "sha256"
# A header is far smaller: 300 bytes a tensor. Limits what is read before anything is known.
LARGEST_HEADER = 32 << 20
LARGEST_DIMENSION = 1 << 40
# Pieces that are read and hashed at once, in two threads.
PIECE = 16 << 20

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
    tree: dict[str, Any] = {}
    offset = 0
    orders: dict[str, tuple[int, ...]] = {}
    for name, tensor in tensors.items():
        order = _order(tensor)
        shape = list(tensor.shape)
        if order is not None:
            orders[name] = _inverse(order)
            shape = [shape[i] for i in order]
        end = offset + tensor.numel() * tensor.element_size()
        tree[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": shape,
            "data_offsets": [offset, end],
        }
        offset = end
    tree[DIGEST] = {"dtype": "U8", "shape": [32], "data_offsets": [offset, offset + 32]}
    noted = {"format": "pt", "tasd": as_json(about), "orders": as_json(orders)}
    header = json.dumps({"__metadata__": noted, **tree}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file, _Hashing() as digest:
        for part in (len(header).to_bytes(8, "little"), header):
            file.write(part)
            digest.update(part)
        for tensor in tensors.values():
            order = _order(tensor)
            laid = tensor.detach() if order is None else tensor.detach().permute(order)
            content = _bytes(laid.cpu().contiguous())
            digest.update(content)
            file.write(content)
        file.write(digest.digest())


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
    if next(reversed(entries), None) != DIGEST or entries[DIGEST].size != 32:
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
    with _Hashing() as digest:
        digest.update(header.raw)
        for name, entry in header.entries.items():
            if name == DIGEST:
                break
            tensor = torch.empty(entry.shape, dtype=entry.dtype)
            _fill(file, _bytes(tensor), digest)
            if entry.order is not None:
                tensor = tensor.permute(entry.order)
            tensors[name] = tensor.to(device)
        expected = file.read()
        if digest.digest() != expected:
            raise DamagedFile("its bytes are not those that were written: the digest differs")
        digest.update(expected)
        return TensorFile(about=header.about, tensors=tensors, sha256=digest.digest().hex())


def all_finite(tensors: Iterator[tuple[str, Tensor]]) -> str | None:
    """Return the name of the first tensor that holds inf or NaN, None where all are finite.

    A sum is not finite where one of its terms is not: one pass at the speed of memory.
    """
    for name, tensor in tensors:
        if not tensor.is_floating_point() or math.isfinite(float(tensor.detach().sum())):
            continue
        if not bool(torch.isfinite(tensor).all()):  # the sum of large finite terms may overflow
            return name
    return None


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
        """Add bytes, which must stay as they are until `digest`."""
        self._thread.submit(self._hash.update, part)

    def digest(self) -> bytes:
        """Return the digest of all parts so far."""
        return self._thread.submit(self._hash.digest).result()


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


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor on the CPU, for reading and writing."""
    if tensor.numel() == 0:
        return memoryview(b"")
    return memoryview(tensor.view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def _fill(file: IO[bytes], memory: memoryview, digest: _Hashing) -> None:
    for begin in range(0, len(memory), PIECE):
        piece = memory[begin : begin + PIECE]
        if file.readinto(piece) != len(piece):  # type: ignore[attr-defined]
            raise DamagedFile("it ends too early")
        digest.update(piece)


def _order(tensor: Tensor) -> tuple[int, ...] | None:
    """The order of dimensions in memory where it is channels last, so that it comes back so."""
    if tensor.ndim not in (4, 5):
        return None
    order = (0, *range(2, tensor.ndim), 1)
    laid = tensor.permute(order)
    rows = tuple(math.prod(laid.shape[i + 1 :]) for i in range(laid.ndim))
    plain = tuple(math.prod(tensor.shape[i + 1 :]) for i in range(tensor.ndim))
    return order if laid.stride() == rows and tensor.stride() != plain else None


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(i) for i in range(len(order)))
