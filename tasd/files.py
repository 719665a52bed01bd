"""Text files that are there whole or not at all."""

import contextlib
import os
import uuid
from pathlib import Path

from tasd.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Write by a temporary name, fsync and a rename; folders are made. Raises `UserError`."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}); choose another place, or make room"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
