"""Episode files: a small JSON of the names of videos, for exchange with other programs.

    {"format": "tasd-episodes", "version": 1, "seed": 0,
     "classes": ["archery", ...],
     "videos": ["archery/a", ...], "video_class": [0, ...],
     "support": [[[3], [17], ...], ...], "query": [[[5], [12], ...], ...]}

``video_class`` indexes ``classes``; ``support`` and ``query`` hold for each episode, and each of
its classes, indices into ``videos``. The order of classes within an episode does not matter.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.files import as_json, read_json, write_text

FORMAT = "tasd-episodes"
VERSION = 1


def save_episodes(path: Path, episodes: EpisodeTable) -> None:
    """Write the file, whole or not at all. Raises `UserError`."""
    tree = {
        "format": FORMAT,
        "version": VERSION,
        "seed": episodes.seed,
        "classes": episodes.classes,
        "videos": episodes.videos,
        "video_class": episodes.video_class.tolist(),
        "support": episodes.support.tolist(),
        "query": episodes.query.tolist(),
    }
    write_text(path, as_json(tree))


def load_episodes(path: Path) -> EpisodeTable:
    """Read and check the file. Raises `UserError`."""
    tree = read_json(
        path,
        format=FORMAT,
        version=VERSION,
        what=f'a file of episodes ("format": "{FORMAT}")',
        way_out="tasd evaluate --save-episodes writes one",
    )
    classes, videos = _names(path, tree, "classes"), _names(path, tree, "videos")
    video_class = _indices(path, tree, "video_class", below=len(classes), dimensions=1)
    support = _indices(path, tree, "support", below=len(videos), dimensions=3)
    query = _indices(path, tree, "query", below=len(videos), dimensions=3)
    if len(video_class) != len(videos):
        raise UserError(f'{path}: "video_class" must have one entry for each of "videos"')
    if support.shape[:2] != query.shape[:2] or support.shape[1] < 2:
        raise UserError(f'{path}: "support" and "query" must agree in episodes and in a way >= 2')
    seed = tree.get("seed")
    episodes = EpisodeTable(classes, videos, video_class, support, query, seed, source=str(path))
    _refuse(path, _mixed(episodes), "has videos of several classes in place of one class")
    _refuse(path, _repeats(episodes.chosen), "has the same class twice")
    _refuse(path, _repeats(episodes.members), "has the same video twice")
    return episodes


def _names(path: Path, tree: dict[str, Any], key: str) -> tuple[str, ...]:
    names = tree.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f'{path}: "{key}" must be a list of names')
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f'{path}: "{key}" holds {twice!r} twice; names must be unique')
    return tuple(names)


def _indices(
    path: Path, tree: dict[str, Any], key: str, *, below: int, dimensions: int
) -> Int64[np.ndarray, "..."]:
    try:
        array = np.asarray(tree.get(key))
    except ValueError:  # ragged
        array = np.empty(0)
    if array.ndim != dimensions or array.size == 0 or array.dtype.kind != "i":
        shape = "a list of integers" if dimensions == 1 else "episodes x way x videos of integers"
        raise UserError(
            f'{path}: "{key}" must be {shape}, every episode of the same shape; write episodes of '
            "different shapes to different files"
        )
    if array.min() < 0 or array.max() >= below:
        wrong = array.min() if array.min() < 0 else array.max()
        raise UserError(f'{path}: "{key}" holds {wrong}; indices are 0 to {below - 1}')
    return array.astype(np.int64)


def _refuse(path: Path, wrong: Int64[np.ndarray, " wrong"], what: str) -> None:
    if len(wrong):
        raise UserError(
            f"{path}: episode {wrong[0]} {what} ({len(wrong)} such episodes); correct the file"
        )


def _mixed(episodes: EpisodeTable) -> Int64[np.ndarray, " wrong"]:
    members = np.concatenate([episodes.support, episodes.query], axis=2)
    same = episodes.video_class[members] == episodes.chosen[:, :, None]
    return np.flatnonzero(~same.all(axis=(1, 2)))


def _repeats(values: Int64[np.ndarray, "episodes values"]) -> Int64[np.ndarray, " wrong"]:
    ordered = np.sort(values, axis=1)
    return np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
