"""Default folders of stores and runs."""

import os
from pathlib import Path

from tasd.errors import UserError


def home() -> Path:
    """Return the folder named by $TASD_HOME, else the current one."""
    return Path(os.environ.get("TASD_HOME") or ".")


def default_store(dataset: str) -> Path:
    """Return the folder that `tasd prep DATASET` writes to: ``stores/<dataset>`` below `home`."""
    return home() / "stores" / dataset


def only_store() -> Path:
    """Return the one finished store below `home`. Raises `UserError` for none or several."""
    folder = home() / "stores"
    found = sorted(path.parent for path in folder.glob("*/manifest.json"))
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(str(path) for path in found)
        raise UserError(f"there are several stores ({named}); choose one with --store")
    raise UserError(
        f"there is no store in {folder}; prepare one with tasd prep kinetics|ucf101|hmdb51|folder "
        "--root DIR, or name one with --store"
    )


def cache_folder() -> Path:
    """Return the folder of this user for what can be computed again: ``~/.cache/tasd``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "tasd"
