"""The place where prepared frames wait until the shard of their video is written.

Each video of an archive has one file, named by its archive and its place there: a line with the
sha256 of the rest, a line of JSON, and the frames one after another. Only a whole file gets that
name, by rename. The folder lies in the store, and is named by the settings: frames of others are
removed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from prep.clip import PASSING, Clip, UnreadableVideo
from prep.limits import Limits
from tasd.datasets.members import Member
from tasd.errors import UserError
from tasd.files import as_json

PLACE = ".archives"  # in the store
FRAMES, SPOOL = "frames", "members"
_PLAIN = [field.name for field in fields(Clip) if field.name not in ("jpegs", "times", "size")]


@dataclass(frozen=True)
class Source:
    """Size and sha256 of the file that a video was decoded from."""

    size_bytes: int
    sha256: str


def spool_folder(store: Path) -> Path:
    """Return the folder for copies of members."""
    return store / PLACE / SPOOL


def frames_folder(store: Path, about: object) -> Path:
    """Return the folder of the frames that wait; ``about`` is all that they depend on."""
    text = as_json(about, sort_keys=True, ascii=True)
    return store / PLACE / f"{FRAMES}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def waiting_path(folder: Path, member: Member) -> Path:
    """Return the path of the frames of a member."""
    about = as_json([*member.archive.stamp, member.number], ascii=True)
    name = hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return folder / name[:2] / name


def write_waiting(path: Path, clip: Clip | UnreadableVideo, source: Source, limits: Limits) -> None:
    """Write the frames of a video, or the reason that there are none."""
    about: dict[str, Any] = {**asdict(source), "limits": asdict(limits)}
    jpegs: tuple[bytes, ...] = ()
    if isinstance(clip, UnreadableVideo):
        about["unreadable"] = [str(clip), clip.code]
    else:
        jpegs = clip.jpegs
        about |= {name: getattr(clip, name) for name in _PLAIN}
        about |= {"times": clip.times, "shape": clip.size, "lengths": [*map(len, jpegs)]}
    body = b"".join([as_json(about, ascii=True).encode(), b"\n", *jpegs])
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    unfinished.replace(path)


def read_waiting(path: Path) -> Clip | UnreadableVideo:
    """Read the frames of a video. Raises `UserError` where they are missing or damaged."""
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != digest:
            raise ValueError
    except (OSError, ValueError):
        path.unlink(missing_ok=True)
        raise UserError(
            f"frames that waited in {path.parents[1]} are missing or damaged; run the same command "
            "again: it reads that archive again"
        ) from None
    line, _, frames = body.partition(b"\n")
    about = json.loads(line)
    if "unreadable" in about:
        reason, code = about["unreadable"]
        return UnreadableVideo(reason, code=code)
    about["remarks"] = tuple((code, text) for code, text in about["remarks"])
    return Clip(
        jpegs=tuple(_pieces(frames, about["lengths"])),
        times=tuple(about["times"]),
        size=tuple(about["shape"]),
        **{name: about[name] for name in _PLAIN},
    )


def waiting_source(path: Path, limits: Limits) -> Source | None:
    """Return the source of frames that wait; None where there are none, or worth another try."""
    try:
        with path.open("rb") as file:
            file.readline()
            about = json.loads(file.readline())
        source = Source(int(about["size_bytes"]), str(about["sha256"]))
        passing = "unreadable" in about and (
            about["unreadable"][1] in PASSING or limits.exceed(Limits(**about["limits"]))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if passing else source


def remove_others(store: Path, kept: Path) -> None:
    """Remove copies of members, and frames of other settings, that a killed prep left."""
    for path in (store / PLACE).glob("*"):
        if path.is_dir() and path != kept:
            shutil.rmtree(path, ignore_errors=True)


def remove_waiting(store: Path) -> None:
    """Remove the frames and copies; lists of members stay."""
    for path in (store / PLACE).glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def is_waiting(store: Path) -> bool:
    """True where frames wait, which another prep will want."""
    return any(path.is_file() for path in (store / PLACE).glob(f"{FRAMES}-*/*/*"))


def _pieces(frames: bytes, lengths: list[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield frames[start : start + length]
        start += length
