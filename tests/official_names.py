"""Folders with all official names of a data set, each a hard link of a few genuine clips."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

GROUPS = 25  # of each class of UCF101
FILMS = 20  # of each class of HMDB51, which its names tell
# Where the genuine clips of a data set lie below the folder of test data.
CLIPS = {
    "ucf101": "data/videos/UCF-101",
    "hmdb51": "data/videos/hmdb51_org",
    "kinetics": "data/videos/kinetics",
}
LISTS = tuple(f"splits/kinetics100_cmn_{split}.txt" for split in ("train", "val", "test"))
FEWEST = 2  # videos of a class: an episode needs a support and a query


def lay_out(dataset: str, data: Path, root: Path, *, share: float = 1.0) -> int:
    """Fill ``root`` with the names of a data set and return their number.

    data: the folder of test data, with the published counts of each class in splits/classes.json.
    share: of the videos of each class, at least `FEWEST`; all classes are there.
    """
    found = sorted(path for path in (data / CLIPS[dataset]).rglob("*.*") if path.is_file())
    clips = [_beside(path, root.parent / "clips") for path in found]
    names = list(official_names(dataset, data, share=share))
    for number, name in enumerate(names):
        clip = clips[number % len(clips)]
        path = root / f"{name}{clip.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.link(clip, path)
    return len(names)


def official_names(dataset: str, data: Path, *, share: float = 1.0) -> Iterator[str]:
    """Yield ``<class>/<video>`` without a suffix for each video."""
    if dataset == "kinetics":
        yield from _of_lists(data, share)
        return
    published = json.loads((data / "splits/classes.json").read_text("utf-8"))["_meta"][dataset]
    for counts in published["videos_per_class"].values():
        for name, count in counts.items():
            number = _part(count, share)
            yield from _ucf101(name, number) if dataset == "ucf101" else _hmdb51(name, number)


def _ucf101(name: str, count: int) -> Iterator[str]:
    """Yield clips in 25 groups; the class of one folder is written otherwise in its files."""
    file = {"HandstandPushups": "HandStandPushups"}.get(name, name)
    for number in range(count):
        clip, group = divmod(number, GROUPS)
        yield f"{name}/v_{file}_g{group + 1:02}_c{clip + 1:02}"


def _hmdb51(name: str, count: int) -> Iterator[str]:
    for number in range(count):
        clip, film = divmod(number, FILMS)
        yield f"{name}/Film_{film:02}_{name}_f_cm_np1_le_med_{clip}"


def _of_lists(data: Path, share: float) -> Iterator[str]:
    classes: dict[str, list[str]] = {}
    for path in LISTS:
        for line in (data / path).read_text("utf-8").splitlines():
            classes.setdefault(line.partition("/")[0], []).append(line)
    for names in classes.values():
        yield from names[: _part(len(names), share)]


def _part(count: int, share: float) -> int:
    return max(FEWEST, round(count * share))


def _beside(clip: Path, folder: Path) -> Path:
    """Copy a clip once to where links to it can be made."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{clip.parent.name}-{clip.name}"
    if not copy.exists():
        shutil.copyfile(clip, copy)
    return copy


def lists_of(dataset: str, data: Path) -> Sequence[Path]:
    """Return the lists of videos that prep needs."""
    return [data / path for path in LISTS] if dataset == "kinetics" else []
