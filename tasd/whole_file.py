"""Text files that are there whole or not at all."""

import os
import uuid
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write by a temporary name and a rename; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
