"""The examples as a zip of class folders; unpacked, it is a folder for tasd predict --support."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from tasd.app.items import ClassItem, Clip
from tasd.app.names import folder_name
from tasd.errors import UserError


def write_zip(examples: Iterable[tuple[ClassItem, Clip]], path: Path) -> int:
    """Write ``<class>/<clip>`` for each example that can be read; return their number.

    Raises `UserError` where there are none.
    """
    folders: dict[str, str] = {}
    taken: dict[str, set[str]] = {}
    count = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as written:
        for each, clip in examples:
            if clip.state != "ready" or not clip.path.is_file():
                continue
            if each.id not in folders:
                used = {name.casefold() for name in folders.values()}
                folders[each.id] = folder_name(each.name, used)
            names = taken.setdefault(each.id, set())
            name = folder_name(clip.name, names)
            names.add(name.casefold())
            written.write(clip.path, f"{folders[each.id]}/{name}")
            count += 1
    if not count:
        raise UserError("there is no example to export; add clips to a class first")
    return count
