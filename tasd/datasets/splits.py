"""The published class splits: the classes of train, val and test, one name a line."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from tasd.errors import UserError
from tasd.registry import pick

SPLIT_NAMES = ("train", "val", "test")


@cache
def class_splits(dataset: str) -> Mapping[str, tuple[str, ...]]:
    """Return the class names of train, val and test. Raises `UserError` where there are none."""
    folder = pick(published(), dataset, what=f"data set with class lists in {splits_folder()}")
    return MappingProxyType({split: class_lines(folder / f"{split}.txt") for split in SPLIT_NAMES})


@cache
def other_classes(dataset: str) -> frozenset[str]:
    """Return the classes that ``dataset`` has beside those of its splits, as far as is known."""
    path = splits_folder() / dataset / "other_classes.txt"
    return frozenset(class_lines(path)) if path.is_file() else frozenset()


def published() -> dict[str, Path]:
    """Return the data sets with class lists, and their folders.

    The split of the user's own folder of videos is in the manifest of its store.
    """
    return {path.parent.name: path.parent for path in sorted(splits_folder().glob("*/train.txt"))}


def splits_folder() -> Path:
    """Return the folder of class lists: in an installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_splits"
    return installed if installed.is_dir() else package.parent / "splits"


def class_lines(path: Path) -> tuple[str, ...]:
    """Read the class names of a file, one a line. Raises `UserError` where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the class list {path} cannot be read ({error}); it holds one class name a line"
        ) from None
    return tuple(line.strip() for line in text.splitlines() if line.strip())
