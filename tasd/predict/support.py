"""The support: clips of each class, from a folder, a mapping or a list with labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tasd.datasets import DATASETS
from tasd.datasets.scan import scan
from tasd.errors import UserError

PathLike = Path | str
Support = PathLike | Mapping[str, Sequence[PathLike]] | Sequence[PathLike]


def support_clips(
    support: Support, labels: Sequence[str] | None
) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """Return the clips of each class, and the reason for each clip that is left out.

    support: a folder ``<class>/<clips>``, or the clips of each class, or clips whose classes are
    ``labels``. Raises `UserError`.
    """
    if isinstance(support, Mapping):
        return {name: [Path(path) for path in paths] for name, paths in support.items()}, {}
    if isinstance(support, str | Path):
        return _in_folder(Path(support))
    if labels is None or len(labels) != len(support):
        raise UserError(
            f"fit was given {len(support)} clips and {len(labels or ())} labels; give a label for "
            "each clip, or a folder <class>/<clips>"
        )
    clips: dict[str, list[Path]] = {}
    for path, name in zip(support, labels, strict=True):
        clips.setdefault(name, []).append(Path(path))
    return clips, {}


def _in_folder(root: Path) -> tuple[dict[str, list[Path]], dict[str, str]]:
    if not root.is_dir():
        raise UserError(
            f"the support {root} is not a folder; give one that has a folder of clips for each "
            "class"
        )
    found = scan(DATASETS["folder"], root)
    if not found.videos:
        raise UserError(
            f"the support {root} holds {len(found.loose)} clips, but none in a class folder; put "
            "the clips of each class into a folder with its name"
        )
    clips: dict[str, list[Path]] = {}
    for video in found.videos:
        clips.setdefault(video.class_name, []).append(root / video.path)
    problems = {str(root / problem.path): problem.reason for problem in found.problems}
    problems |= {str(root / video.path): "it is in no class folder" for video in found.loose}
    return clips, problems
