"""Changes of a support folder: clips become examples, move to another class, or are put aside.

The files are a person's own. Nothing here deletes a clip or overwrites one: what is forgotten moves
into the hidden folder `ASIDE` of the support, which no command reads.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from prep.shard import fingerprint
from tasd.datasets.base import VIDEO_SUFFIXES
from tasd.errors import UserError
from tasd.predict.arrivals import find_clips
from tasd.predict.clips import source_of

ASIDE = ".forgotten"
Content = tuple[int, str]  # bytes and sha256


def check_class(name: str) -> str:
    """Return the name of a class that can be a folder. Raises `UserError`."""
    wrong = not name.strip() or name.startswith(".") or set(name) & {"/", "\\"}
    if wrong or not name.isprintable():
        raise UserError(
            f"--learn {name!r} cannot be the name of a class, which is a folder of the support: "
            "not empty, no slash, no dot at the beginning"
        )
    return name


def learn_clips(root: Path, name: str, clips: Sequence[Path]) -> Iterator[str]:
    """Make clips examples of a class of a support folder; yield what was done, a line for each.

    A clip from elsewhere is copied. A clip that the support has in another class, under any name,
    moves. A name that is taken by another clip of the class gets a number.

    Raises `UserError`.
    """
    folder = root / check_class(name)
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for clip in clips:
            yield _learnt(root, folder, clip)


def forget_example(root: Path, given: str) -> str:
    """Put a clip or a class of a support folder aside; return what was done.

    given: the name of a class, or the path of a clip, also as seen from the support.

    Raises `UserError`.
    """
    names = [root / given, Path(given)]
    inside = [path for path in names if path.exists() and _place(root, path) is not None]
    if not inside:
        classes = ", ".join(sorted(p.name for p in root.iterdir() if _is_class(p)))
        raise UserError(
            f"--forget {given} is neither a class nor a clip of the support {root}; its classes "
            f"are: {classes or 'none'}"
        )
    with _told(root):
        moved = _aside(root, inside[0])
    return f"{inside[0]} is no longer an example; it lies in {moved}"


def _learnt(root: Path, folder: Path, clip: Path) -> str:
    content = _content(clip)
    same = [found for found in _examples(root, content[0]) if _content(found) == content]
    others = [found for found in same if found.parent != folder]
    if any(found.parent == folder for found in same):
        for other in others:
            _aside(root, other)
        gone = f"; no longer one of {others[0].parent.name}" if others else ""
        return f"{clip} is an example of {folder.name} already{gone}"
    if others:
        target = _move(others[0], folder)
        for other in others[1:]:
            _aside(root, other)
        return f"{clip}: {others[0]} moved to {target}"
    target = _copy(clip, folder)
    new = f", under a new name: {folder / clip.name} is another clip"
    return f"{clip} copied to {target}{'' if target.name == clip.name else new}"


def _examples(root: Path, size: int) -> list[Path]:
    """The clips of all classes that may have a content of this size."""
    found = find_clips([path for path in sorted(root.iterdir()) if _is_class(path)])
    return [path for path in found if path.is_dir() or path.stat().st_size == size]


def _content(clip: Path) -> Content:
    return fingerprint(source_of(clip, clip.name), Path("/"))


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _place(root: Path, path: Path) -> Path | None:
    """The place of a class or a clip below the support, ``class`` or ``class/clip``."""
    try:
        place = _true(path).relative_to(root.resolve())
    except ValueError:
        return None
    hidden = any(part.startswith(".") for part in place.parts)
    known = _is_class(path) or path.suffix.lower() in VIDEO_SUFFIXES
    return place if len(place.parts) in (1, 2) and known and not hidden else None


def _true(path: Path) -> Path:
    """The absolute path; a clip that is a link stays one."""
    return path.parent.resolve() / path.name


def _aside(root: Path, path: Path) -> Path:
    place = _true(path).relative_to(root.resolve())
    target = root / ASIDE / place.parent
    target.mkdir(parents=True, exist_ok=True)
    return _move(path, target)


def _move(path: Path, folder: Path) -> Path:
    """Move a file or a folder into a folder, under a name that is free there."""
    target = _put(path, folder, path.name)
    if path.exists() and path.is_file():
        path.unlink()  # linked to its new name by now
    with contextlib.suppress(OSError):
        path.parent.rmdir()  # a class without clips is none
    return target


def _copy(clip: Path, folder: Path) -> Path:
    """Copy a clip into a folder, where it appears whole or not at all."""
    temporary = folder / f".{uuid.uuid4().hex[:8]}.writing"
    try:
        if clip.is_dir():
            shutil.copytree(clip, temporary)
        else:
            shutil.copyfile(clip, temporary)
        return _put(temporary, folder, clip.name)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        temporary.unlink(missing_ok=True)


def _put(path: Path, folder: Path, name: str) -> Path:
    """Give a file or a folder a free name in a folder, which no other file can take meanwhile."""
    stem, suffix = os.path.splitext(name)
    number = 1
    while True:
        target = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
        number += 1
        if any(found.stem == target.stem for found in folder.iterdir() if found != path):
            continue  # of two clips that differ in the suffix alone, a support has one
        if path.is_dir():
            path.rename(target)
            return target
        try:
            os.link(path, target)
        except FileExistsError:
            continue
        except OSError:  # a file system without links
            path.rename(target)
        return target


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"the support {folder} cannot be changed ({reason}); check its permissions and space"
        ) from None
