"""One worker's whole job: a planned shard in, a shard file and a report out."""

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.ffmpeg_process import JPEG_QUALITY, Ffmpeg, ffmpeg_here
from prep.frame_folders import read_stills, still_files
from prep.limits import Limits
from prep.plan import Seen
from prep.report import Remark, remark_on
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tasd.store import ShardEntry, ShardWriter, shard_name

# Short videos share a process; beyond these bounds starting one costs little beside decoding.
MOST_TOGETHER = 8
MOST_BYTES_TOGETHER = 4 << 20
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class PrepSettings:
    """What all shards of one prep have in common."""

    root: Path
    store: Path
    dataset: str
    settings: FrameSettings
    tool: Ffmpeg
    limits: Limits = field(default_factory=Limits)

    def as_json(self) -> dict[str, object]:
        """What the store remembers, and a later prep compares."""
        return {**self.settings.as_json(), "jpeg_quality": JPEG_QUALITY}


@dataclass(frozen=True)
class ShardJob:
    """One shard to write: its number, and the videos that are to be in it."""

    number: int
    videos: tuple[SourceVideo, ...]


@dataclass(frozen=True)
class ShardReport:
    """What became of one shard.

    seen: the source files as they were. classes: that of each video in it. remarks: on videos
    that failed or are not all they should be.
    """

    number: int
    entry: ShardEntry
    ffmpeg: str
    seen: tuple[Seen, ...]
    classes: tuple[str, ...]
    remarks: tuple[Remark, ...]


def write_shard(
    job: ShardJob,
    recipe: PrepSettings,
    *,
    told: Callable[[int, int], None] = lambda videos, size: None,
) -> ShardReport:
    """Decode the videos of a shard and write it; it appears whole or not at all.

    told: hears how many more videos are done, and their bytes. Raises `UserError`.
    """
    if not recipe.root.is_dir():  # a disk that is gone is no reason to call its videos unreadable
        raise UserError(
            f"{platform.node()} does not see {recipe.root}; mount it, or correct --root"
        )
    tool = ffmpeg_here(recipe.tool)
    decoder = Decoder(tool, recipe.settings, recipe.limits)
    remarks: list[Remark] = []
    classes: list[str] = []
    digests: dict[str, str] = {}
    sources: dict[str, tuple[int, str]] = {}
    seen: list[Seen] = []
    writer = ShardWriter(
        recipe.store / shard_name(job.number),
        dataset=recipe.dataset,
        settings=recipe.as_json(),
        ffmpeg=tool.version,
    )
    with writer:
        for group in groups(job.videos):
            seen += [look_at(video, recipe.root) for video in group]
            sources |= {video.id: fingerprint(video, recipe.root) for video in group}
            for video, clip in zip(group, _clips(group, decoder, recipe), strict=True):
                remarks += remark_on(video, clip, recipe.settings)
                if isinstance(clip, Clip):
                    _add(writer, video, clip)
                    digests[video.id] = frames_digest(clip.jpegs)
                    classes.append(video.class_name)
            told(len(group), sum(video.size_bytes for video in group))
        writer.attributes["sources"] = json.dumps(sources)
        writer.attributes["digests"] = json.dumps(digests)
        writer.attributes["remarks"] = json.dumps([asdict(remark) for remark in remarks])
        if len(classes) < len(job.videos):  # a run that allows more tries the others again
            writer.attributes["limits"] = json.dumps(asdict(recipe.limits))
    assert writer.entry is not None
    return ShardReport(
        number=job.number,
        entry=writer.entry,
        ffmpeg=tool.version,
        seen=tuple(seen),
        classes=tuple(classes),
        remarks=tuple(remarks),
    )


def groups(videos: Sequence[SourceVideo]) -> Iterator[list[SourceVideo]]:
    """Neighbours that share a process: short videos."""
    group: list[SourceVideo] = []
    for video in videos:
        size = sum(member.size_bytes for member in group) + video.size_bytes
        if group and (len(group) == MOST_TOGETHER or size > MOST_BYTES_TOGETHER):
            yield group
            group = []
        group.append(video)
    if group:
        yield group


def look_at(video: SourceVideo, root: Path) -> Seen:
    """A source as `stat` sees it; all zero where it cannot be seen."""
    try:
        found = (root / video.path).stat()
    except OSError:
        return video.path, 0, 0
    return video.path, video.size_bytes, found.st_mtime_ns


def fingerprint(video: SourceVideo, root: Path) -> tuple[int, str]:
    """Bytes and sha256 of a source; an empty sha256 where it cannot be read."""
    digest = hashlib.sha256()
    path = root / video.path
    size = 0
    try:
        for file in [path] if video.kind == "video" else still_files(path):
            with file.open("rb") as content:
                while piece := content.read(READ_BYTES):
                    digest.update(piece)
                    size += len(piece)
    except OSError:
        return 0, ""
    return size, digest.hexdigest()


def frames_digest(jpegs: Iterable[bytes]) -> str:
    """The sha256 of all frames of a video, by which `tasd check` tells which one is damaged."""
    digest = hashlib.sha256()
    for jpeg in jpegs:
        digest.update(jpeg)
    return digest.hexdigest()


def _clips(
    group: Sequence[SourceVideo], decoder: Decoder, recipe: PrepSettings
) -> list[Clip | UnreadableVideo]:
    """The clips of a group, in its order, whether they are files or folders of frames."""
    files = [video for video in group if video.kind == "video"]
    paths = [recipe.root / video.path for video in files]
    decoded = iter(decoder.decode(paths)) if paths else iter(())
    return [
        next(decoded)
        if video.kind == "video"
        else read_stills(recipe.root / video.path, recipe.settings)
        for video in group
    ]


def _add(writer: ShardWriter, video: SourceVideo, clip: Clip) -> None:
    writer.add(
        class_name=video.class_name,
        name=video.name,
        jpegs=clip.jpegs,
        times=clip.times,
        size=clip.size,
    )
