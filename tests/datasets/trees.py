"""Made-up data sets: files with the names of videos."""

from pathlib import Path


def tree(root: Path, *paths: str, content: bytes = b"video") -> Path:
    """Make files below a root and return the root."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root
