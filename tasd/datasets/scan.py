"""Search for the videos of a data set in any layout of its download. Reads no video."""

import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasd.datasets.base import (
    FRAME_SUFFIXES,
    Dataset,
    Problem,
    Scan,
    SourceVideo,
    class_key,
    normal,
)
from tasd.datasets.doubles import without_doubles
from tasd.datasets.layout import DEEPEST, UNFINISHED, Entry, Folders, Layout, find_layout, suffix
from tasd.datasets.members import MemberTree
from tasd.errors import UserError
from tasd.foreign import clean

OTHER_PICTURES = frozenset({".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


def scan(
    dataset: Dataset,
    root: Path,
    *,
    every_class: bool = False,
    follow_links: bool = False,
    members: MemberTree | None = None,
    on_disk: bool = True,
) -> Scan:
    """Find the videos below ``root``, sorted, and the problems with the rest.

    Of a published data set, finds the classes of its splits. Folders with other names are
    classes too with ``every_class``, or where no folder has the name of a class. members: files
    within archives, to be found beside those on the disk; on_disk: False to find them alone.

    Raises `UserError` where there is no such folder or no video in it.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; {dataset.name} has the layout {dataset.layout}")
    folders = Folders(root, follow_links, members or MemberTree(), on_disk)
    layout = find_layout(dataset, folders)
    found: list[SourceVideo] = []
    for entry in _class_folders(dataset, layout, folders, every_class=every_class):
        found += _class_folder(entry.path, dataset.class_name(entry.name), folders)
    beside = _beside(dataset, layout.loose, folders)
    once, doubles = without_doubles(dataset, [*found, *beside])
    folders.problems += doubles
    videos = _distinct([video for video in once if video.class_name], folders)
    loose = tuple(video for video in once if not video.class_name)
    if not videos and not loose:
        raise UserError(_nothing(dataset, folders))
    folders.problems += [*_absent_classes(dataset, videos), *folders.groups()]
    return Scan(videos, loose, tuple(folders.problems), tuple(folders.followed))


def _class_folders(
    dataset: Dataset, layout: Layout, folders: Folders, *, every_class: bool
) -> list[Entry]:
    if not dataset.published:
        return layout.others
    taken = every_class or not layout.known
    for entry in layout.others:
        outcome = "kept nevertheless" if taken else "left out"
        reason = f"no class of the splits of {dataset.name}: {outcome}"
        folders.problems.append(Problem("no split", entry.path, reason))
    return layout.known + layout.others if taken else layout.known


def _class_folder(path: str, class_name: str, folders: Folders) -> list[SourceVideo]:
    """Find the videos of one class: files, and folders of extracted frames."""
    known = len(folders.problems)
    found: list[SourceVideo] = []
    for entry in folders.list(path):
        if not entry.is_folder:
            found += _file(entry, class_name, folders)
        elif class_key(entry.name) == class_key(class_name):
            # An archive unpacked into a folder of its own name.
            found += _class_folder(entry.path, class_name, folders)
        else:
            found += _frames(entry, class_name, folders)
    if not found and len(folders.problems) == known:
        folders.problems.append(Problem("no videos", path, "no video in this folder"))
    return found


def _file(entry: Entry, class_name: str, folders: Folders) -> list[SourceVideo]:
    status = _status(entry, folders) if entry.is_video or _taken(entry, folders) else None
    if status is None:
        return []
    if not stat.S_ISREG(status.st_mode):
        folders.problems.append(Problem("unreadable", entry.path, "a pipe or device, not a file"))
        return []
    name = _stem(entry.name)
    return [SourceVideo(class_name, name, entry.path, status.st_size, member=entry.member)]


def _taken(entry: Entry, folders: Folders, *, beside: bool = False) -> bool:
    """True where a file of another extension is a video; names the others, once a kind.

    beside: outside class folders, where texts are lists and notes.
    """
    if entry.is_other_video:
        return True
    if not entry.is_there:
        _status(entry, folders)
        return False
    ending = suffix(entry.name)
    if ending in UNFINISHED:
        folders.leave_out("hidden", entry.path, "hidden files and unfinished downloads")
        return False
    code, noun = entry.not_a_video()
    if not (beside and code in ("text", "html", "document", "archive")):
        named = f"called *{ending}" if ending else "without an extension"
        folders.leave_out("other file", entry.path, f"{named}, {noun.partition(',')[0]}")
    return False


def _stem(name: str) -> str:
    return normal(os.path.splitext(name)[0])


def _frames(entry: Entry, class_name: str, folders: Folders) -> list[SourceVideo]:
    """Return a folder of extracted JPEG frames as one video, whose size is their sum."""
    inside = folders.list(entry.path)
    frames = [below for below in inside if suffix(below.name) in FRAME_SUFFIXES]
    if any(frame.member for frame in frames):
        reason = "a folder of frames within an archive: unpack that archive"
        folders.problems.append(Problem("unreadable", entry.path, reason))
        return []
    sizes = [status.st_size for frame in frames if (status := _status(frame, folders))]
    left = _leave_out(inside, folders)
    if not sizes:
        if not left:
            reason = "a folder within a class folder, without JPEG frames"
            folders.problems.append(Problem("no videos", entry.path, reason))
        return []
    return [SourceVideo(class_name, normal(entry.name), entry.path, sum(sizes), "frames")]


def _leave_out(inside: Sequence[Entry], folders: Folders, depth: int = 0) -> int:
    """Name the videos and other pictures in a folder within a class folder; return their number."""
    left = 0
    for entry in inside:
        if entry.is_folder:
            # A link to a folder above would lead here again.
            deeper = depth < DEEPEST and not entry.found.is_symlink()
            left += _leave_out(folders.list(entry.path), folders, depth + 1) if deeper else 0
        elif entry.is_video or entry.is_other_video:
            folders.leave_out("other file", entry.path, "videos in folders within class folders")
            left += 1
        elif suffix(entry.name) in OTHER_PICTURES:
            folders.leave_out("other file", entry.path, "frames that are not JPEG files")
            left += 1
    return left


def _status(entry: Entry, folders: Folders) -> os.stat_result | None:
    try:
        return entry.found.stat()
    except OSError as error:
        broken = entry.found.is_symlink() and isinstance(error, FileNotFoundError)
        reason = "a broken link" if broken else error.strerror or str(error)
        folders.problems.append(Problem("unreadable", entry.path, reason))
        return None


def _beside(dataset: Dataset, entries: Sequence[Entry], folders: Folders) -> list[SourceVideo]:
    """Find videos outside class folders, with the class from labels or names, or ""."""
    videos: list[SourceVideo] = []
    if not entries:
        return videos
    class_of = dataset.labels(folders.root).get if dataset.labels else dataset.class_in_name
    for entry in entries:
        if not entry.is_video and not _taken(entry, folders, beside=True):
            continue
        class_name = class_of(_stem(entry.name)) or ""
        known = not dataset.published or class_key(class_name) in dataset.classes
        videos += _file(entry, dataset.class_name(class_name) if known else "", folders)
    return videos


def _distinct(found: Sequence[SourceVideo], folders: Folders) -> tuple[SourceVideo, ...]:
    """Sort the videos and keep one for each id; where stems collide the suffix stays."""
    stems = Counter(video.id for video in found)
    kept: dict[str, SourceVideo] = {}
    # A file counts where an archive holds another of the same name.
    for video in sorted(found, key=lambda video: (video.member is not None, video.path)):
        if stems[video.id] > 1:
            video = replace(video, name=normal(video.path.rsplit("/", 1)[-1]))
        if video.id in kept:
            reason = f"left out: {kept[video.id].path} has the same class and name"
            folders.problems.append(Problem("duplicate", video.path, reason))
        else:
            kept[video.id] = video
    return tuple(sorted(kept.values(), key=lambda video: (video.class_name, video.name)))


def _absent_classes(dataset: Dataset, videos: Sequence[SourceVideo]) -> list[Problem]:
    present = {video.class_name for video in videos}
    absent = sorted(set(dataset.classes.values()) - present)
    if len(absent) == len(dataset.classes):
        return []
    return [Problem("no videos", name, "a class of the splits without a video") for name in absent]


def _nothing(dataset: Dataset, folders: Folders) -> str:
    problems = [*folders.problems, *folders.groups()]
    problems.sort(key=lambda problem: "link" not in problem.reason)  # they empty their folders
    reasons = [f" ({clean(problem.path)}: {problem.reason})" for problem in problems[:1]]
    return (
        f"no video found below {folders.root}{''.join(reasons)}; {dataset.name} has the layout "
        f"{dataset.layout}"
    )
