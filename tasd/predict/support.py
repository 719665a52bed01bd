"""The support: clips of each class, from a folder, a mapping or a list with labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasd.datasets import DATASETS
from tasd.datasets.scan import scan
from tasd.errors import UserError
from tasd.predict.inputs import InputError, check_labels, clip_paths, is_path
from tasd.progress import counted

PathLike = Path | str
Support = PathLike | Mapping[Any, Sequence[PathLike]] | Sequence[PathLike]


def support_clips(support: Any, labels: Any) -> tuple[dict[Any, list[Path]], dict[str, str]]:
    """Return the clips of each class, and the reason for each clip that is left out.

    support: a folder ``<class>/<clips>``, or the clips of each class, or clips whose classes are
    ``labels``. Raises `UserError`.
    """
    if labels is None and isinstance(support, Mapping):
        return {name: clip_paths(paths) for name, paths in support.items()}, {}
    if labels is None and is_path(support):
        return _in_folder(Path(support))
    if isinstance(support, Mapping) or (is_path(support) and Path(support).is_dir()):
        raise InputError("the support names the class of each clip already; leave out y")
    paths = clip_paths(support)
    clips: dict[Any, list[Path]] = {}
    names = [labels] if is_path(support) and isinstance(labels, str) else labels
    for path, name in zip(paths, check_labels(names, count=len(paths)), strict=True):
        clips.setdefault(name, []).append(path)
    return clips, {}


def _in_folder(root: Path) -> tuple[dict[str, list[Path]], dict[str, str]]:
    if not root.is_dir():
        raise UserError(
            f"the support {root} is not a folder; give one that has a folder of clips for each "
            "class"
        )
    found = scan(DATASETS["folder"], root, follow_links=True)
    if not found.videos:
        raise UserError(
            f"the support {root} holds {counted(len(found.loose), 'clip')}, but none in a class "
            "folder; put the clips of each class into a folder with its name"
        )
    clips: dict[str, list[Path]] = {}
    for video in found.videos:
        clips.setdefault(video.class_name, []).append(root / video.path)
    problems = {str(root / problem.path): problem.reason for problem in found.problems}
    problems |= {str(root / video.path): "it is in no class folder" for video in found.loose}
    return clips, problems
