"""Opening of a feature file of any origin: HDF5 runs in a process of its own, with limits."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from jaxtyping import Float

from tasd.errors import UserError
from tasd.features import hdf5
from tasd.features.seal import BrokenSeal, check_seal
from tasd.foreign import open_regular

SECONDS = 20  # of processor time, and more for a large file
BYTES_A_SECOND = 20 << 20
MEMORY = 4 << 30
PATIENCE = 6  # times the processor time, on a clock


@dataclass(frozen=True)
class Content:
    """The content of a feature file: texts, labels, attributes, and its arrays.

    labels: the class of each video, a number or a name. sealed: the file carries a seal, which
    fits.
    """

    texts: Mapping[str, list[str]]
    labels: list[Any]
    attributes: Mapping[str, Any]
    features: Float[np.ndarray, "..."]
    maps: Float[np.ndarray, "..."] | None
    sealed: bool = True


def read_content(path: Path, *, own: bool = False) -> Content:
    """Read a feature file. Raises `UserError`.

    own: the file is in a cache of tasd and must be as it was sealed; HDF5 then runs in this
    process, which saves a tenth of a second.
    """
    try:
        file = open_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"--features {path}: there is no such file; write one with tasd features"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read ({reason}); name another file") from None
    with file:
        try:
            sealed = check_seal(file)
        except (BrokenSeal, OSError) as error:
            raise _damaged(path, str(error)) from None
        if own and not sealed:
            raise _damaged(path, "it has no seal")
        if own:
            return _read_here(path, file)
        return replace(_read_apart(path, file), sealed=sealed)


def _read_here(path: Path, file: BinaryIO) -> Content:
    size = os.fstat(file.fileno()).st_size
    try:
        with h5py.File(f"/dev/fd/{file.fileno()}", "r", locking=False) as content:
            said = hdf5.describe(content, size=size)
    except hdf5.Refused as error:
        raise UserError(f"{path}{error}") from None
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise _damaged(path, (str(error) or type(error).__name__).splitlines()[0][:80]) from None
    if any(place["offset"] is None for place in said["arrays"].values()):
        raise _damaged(path, "its arrays are not in one piece")
    return _content(path, said, file, None)


def _read_apart(path: Path, file: BinaryIO) -> Content:
    """Let a process of its own describe the file, and unpack what is packed."""
    seconds = SECONDS + os.fstat(file.fileno()).st_size // BYTES_A_SECOND
    file.seek(0)
    words = [sys.executable, "-P", hdf5.__file__, str(seconds), str(MEMORY)]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as answer:
        with subprocess.Popen(
            words, stdin=file, stdout=answer, stderr=subprocess.PIPE, env=one_thread
        ) as process:
            try:
                said = _said(process, patience=float(PATIENCE * seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                raise _damaged(path, f"HDF5 does not open it within {seconds} s") from None
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise _refusal(path, process.returncode, said, seconds)
        answer.seek(0)
        return _content(path, json.loads(answer.readline()), file, answer)


def _said(process: "subprocess.Popen[bytes]", *, patience: float) -> bytes:
    """Wait for a process and return its errors; go on waiting while it gets processor time.

    The system ends a process that has used up its processor time. On a busy machine a sound file
    takes longer by the clock. Raises `TimeoutExpired` where it stands still.
    """
    before = -1.0
    while True:
        try:
            return process.communicate(timeout=patience)[1]
        except subprocess.TimeoutExpired:
            used = _used(process.pid)
            if used <= before:
                raise
            before = used


def _used(pid: int) -> float:
    """Return the processor time of a process, in ticks; -1 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
        return float(fields[11]) + float(fields[12])
    except (OSError, IndexError, ValueError):
        return -1.0


def _refusal(path: Path, code: int, said: bytes, seconds: int) -> UserError:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return _damaged(path, f"HDF5 does not open it within {seconds} s")
    try:
        ((kind, reason),) = json.loads(said).items()
    except (ValueError, AttributeError):
        return _damaged(path, "HDF5 crashes on it")
    if kind == "refused":
        return UserError(f"{path}{reason}")
    if kind == "no_hdf5":
        return UserError(f"{path} is not an HDF5 file ({reason}); write it again")
    if kind == "no_room":
        return UserError(
            f"{path} cannot be opened: no room for temporary files in {tempfile.gettempdir()} "
            f"({reason}); free some space there, or set TMPDIR to another folder"
        )
    return _damaged(path, reason)


def _content(
    path: Path, said: Mapping[str, Any], file: BinaryIO, answer: BinaryIO | None
) -> Content:
    arrays = {n: _array(n, place, file, answer) for n, place in said["arrays"].items()}
    return Content(
        texts=said["texts"],
        labels=said["labels"],
        attributes=said["attributes"],
        features=arrays["features"],
        maps=arrays.get("maps"),
    )


def _array(
    name: str, place: Mapping[str, Any], file: BinaryIO, answer: BinaryIO | None
) -> Float[np.ndarray, "..."]:
    dtype, shape = np.dtype(place["dtype"]), tuple(place["shape"])
    if place["offset"] is not None and name == "maps" and dtype.isnative:  # gigabytes: mapped
        return np.memmap(file, dtype, mode="r", offset=place["offset"], shape=shape)
    source = answer if place["offset"] is None else file
    assert source is not None
    if place["offset"] is not None:
        source.seek(place["offset"])
    array = np.empty(shape, dtype)
    read = source.readinto(array.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
    assert read == array.nbytes, (name, read, array.nbytes)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is damaged ({reason}); write it again")
