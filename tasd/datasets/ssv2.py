"""Something-Something V2 (Goyal et al., ICCV 2017): one flat folder, labels in JSON files."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasd.datasets.base import Dataset
from tasd.errors import UserError

# Both spellings. The test file is not among them: it has no templates.
PREFIXES = ("something-something-v2-", "")
PARTS = ("train", "validation")
ARCHIVES = "*labels*.zip"  # 20bn-something-something-download-package-labels.zip
MOST_BYTES = 1 << 29  # of a file of labels, which has some hundred for each video
# Raised by the library for an archive that is damaged, or made in a way that it does not know.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
# From --root, which may be the folder of the videos or the one that holds it.
PLACES = ("", "labels", "..", "../labels")


def ssv2_labels(root: Path) -> Mapping[str, str]:
    """Return the class of each video by id: ``Moving [something] up`` is ``Moving something up``.

    Raises `UserError` where a file of labels is missing or is something else.
    """
    return {id_: name for part in PARTS for id_, name in _entries(*_find(root, part)).items()}


def _find(root: Path, part: str) -> tuple[Path, str]:
    """Return the file of a part's labels, or their archive and the member in it."""
    places = [root / place for place in PLACES]
    names = [f"{prefix}{part}.json" for prefix in PREFIXES]
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name, ""
    archives = [archive for place in places for archive in sorted(place.glob(ARCHIVES))]
    for archive in archives:
        for member in _members(archive):
            if member.rpartition("/")[2] in names:
                return archive, member
    raise UserError(
        f"no {names[0]} nor {names[1]} is in {root}, in its labels/ or beside it, nor an archive "
        f"{ARCHIVES} that holds it; the labels of Something-Something V2 come as an archive of "
        "their own: put it there"
    )


def _members(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    except OSError as error:
        raise _unreadable(archive, error.strerror or str(error)) from None
    except (*DAMAGE, ValueError) as error:
        raise _unreadable(archive, str(error)) from None


def _text(path: Path, member: str) -> str:
    if not member:
        return path.read_text(encoding="utf-8-sig")
    with zipfile.ZipFile(path) as opened, opened.open(member) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("larger than any labels")
    return content.decode("utf-8-sig")


def _entries(path: Path, member: str = "") -> dict[str, str]:
    try:
        content: Any = json.loads(_text(path, member))
        return {str(entry["id"]): _class_name(entry["template"]) for entry in content}
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f"it is no list of entries with 'id' and 'template', {type(error).__name__}"
    except DAMAGE as error:
        reason = f"{member} in it: {error}"  # damaged, or encrypted
    raise _unreadable(path, reason)


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(
        f"the labels {path} cannot be read: {reason}; download the labels again, or correct --root"
    )


def _class_name(template: str) -> str:
    # A slash would divide class and name in the id of a video.
    return " ".join(template.replace("[", "").replace("]", "").replace("/", " or ").split())


SSV2 = Dataset(
    name="ssv2",
    layout="20bn-something-something-v2/<id>.webm, beside labels/train.json and validation.json",
    published=False,
    group=str,
    labels=ssv2_labels,
    lists=(
        "trainlist, vallist and testlist of SSv2-Small (ssv2_CMN) or SSv2-Full (ssv2_OTAM) are in "
        "github.com/tobyperrett/trx, splits/"
    ),
)
