"""Something-Something V2 (Goyal et al., ICCV 2017): one flat folder, labels in JSON files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasd.datasets.base import Dataset
from tasd.errors import UserError

# Both spellings. The test file is not among them: it has no templates.
PREFIXES = ("something-something-v2-", "")
PARTS = ("train", "validation")
# From --root, which may be the folder of the videos or the one that holds it.
PLACES = ("", "labels", "..", "../labels")


def ssv2_labels(root: Path) -> Mapping[str, str]:
    """Return the class of each video by id: ``Moving [something] up`` is ``Moving something up``.

    Raises `UserError` where a file of labels is missing or is something else.
    """
    return {id_: name for part in PARTS for id_, name in _entries(_find(root, part)).items()}


def _find(root: Path, part: str) -> Path:
    places = [root / place for place in PLACES]
    for place in places:
        for prefix in PREFIXES:
            if (path := place / f"{prefix}{part}.json").is_file():
                return path
    raise UserError(
        f"no {PREFIXES[0]}{part}.json nor {part}.json is in {root}, in its labels/ or beside it; "
        "the labels of Something-Something V2 come as an archive of their own: unpack them there"
    )


def _entries(path: Path) -> dict[str, str]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        return {str(entry["id"]): _class_name(entry["template"]) for entry in content}
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f"it is no list of entries with 'id' and 'template', {type(error).__name__}"
    raise UserError(
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
