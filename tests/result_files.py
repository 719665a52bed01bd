"""Result files by what they are of, whatever the digest at the end of their names."""

import re
from pathlib import Path

DIGEST = r"-[0-9a-f]{8}"


def newest(folder: Path, name: str) -> Path:
    """The newest result called ``name``, such as "test-5w1s-1q-60e-seed0" (".json" may follow)."""
    stem = name.removesuffix(".json")
    found = [path for path in folder.glob("*.json") if re.sub(DIGEST, "", path.stem) == stem]
    assert found, (name, sorted(path.name for path in folder.iterdir()))
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def plain(path: Path) -> str:
    """The name of a result file without its digests."""
    return re.sub(DIGEST, "", path.name)
