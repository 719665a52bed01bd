"""Checkpoints of format 1, which torch.save wrote, without a digest: read, never written."""

import hashlib
import zipfile
from typing import IO, Any

import torch

from tasd.runs.tensorfile import LARGEST_HEADER, DamagedFile

MAGIC = b"PK\x03\x04"
_KEYS = {
    "format",
    "config",
    "progress",
    "classes",
    "dataset",
    "store_hash",
    "learner",
    "teacher",
    "optimiser",
}


def read(file: IO[bytes], *, device: torch.device | str) -> tuple[dict[str, Any], str]:
    """Return the tree of a file and the sha256 of its bytes.

    Only tensors and plain values are ever unpickled. What the archive's own checksums find is
    refused. Raises `DamagedFile`, and what torch and zipfile raise.
    """
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    _refuse_bomb(file)
    file.seek(0)
    tree = torch.load(file, map_location=device, weights_only=True)
    if not isinstance(tree, dict) or tree.keys() != _KEYS or tree["format"] != 1:
        raise DamagedFile("it is not a checkpoint of format 1")
    return tree, sha256


def _refuse_bomb(file: IO[bytes]) -> None:
    """Refuse what would unpack to more than the file, and records that their checksum disowns."""
    size = file.seek(0, 2)
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
        if packed or sum(record.file_size for record in records) > size:
            raise DamagedFile("it would unpack to more than its own size")
        for record in records:
            if record.filename.endswith("data.pkl") and record.file_size > LARGEST_HEADER:
                raise DamagedFile("its description is larger than any of a checkpoint")
            with archive.open(record) as content:
                while content.read(1 << 20):
                    pass
