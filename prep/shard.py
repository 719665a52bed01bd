"""Writing of one shard: decode its videos and write its file. The job of one worker."""

import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from prep.archives.waiting import frames_folder, read_waiting, waiting_path
from prep.attempts import PAUSES
from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.ffmpeg_process import JPEG_QUALITY, Ffmpeg, ffmpeg_here
from prep.frame_folders import frame_files, read_frame_folder
from prep.limits import Limits
from prep.plan import FileStamp
from prep.report import Remark, remark_on
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tasd.files import as_json
from tasd.store import ShardEntry, ShardWriter, shard_name

# Bounds of a group of videos that share a process. Beyond them, starting a process costs little
# compared with decoding.
MOST_TOGETHER = 8
MOST_BYTES_TOGETHER = 4 << 20
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class PrepSettings:
    """Settings that all shards of one prep have in common."""

    root: Path
    store: Path
    dataset: str
    frame_settings: FrameSettings
    tool: Ffmpeg
    limits: Limits = field(default_factory=Limits)

    def as_json(self) -> dict[str, object]:
        """Return the settings that the store records and a later prep compares."""
        return {**self.frame_settings.as_json(), "jpeg_quality": JPEG_QUALITY}

    @property
    def waiting(self) -> Path:
        """The folder in which the frames of archives wait."""
        return frames_folder(self.store, [self.as_json(), self.tool.version])


@dataclass(frozen=True)
class ShardJob:
    """One shard to write: its number and its videos."""

    number: int
    videos: tuple[SourceVideo, ...]


@dataclass(frozen=True)
class ShardReport:
    """A written shard.

    stamps: of the source files when they were read. classes: that of each video in the shard.
    remarks: on videos that could not be read, or are not perfect.
    """

    number: int
    entry: ShardEntry
    ffmpeg: str
    stamps: tuple[FileStamp, ...]
    classes: tuple[str, ...]
    remarks: tuple[Remark, ...]


def write_shard(
    job: ShardJob,
    settings: PrepSettings,
    *,
    on_progress: Callable[[int, int], None] = lambda videos, size: None,
) -> ShardReport:
    """Decode the videos of a shard and write it; it appears whole or not at all.

    on_progress: called with the number of newly decoded videos, and their bytes; the frames of
    members of archives wait already. Raises `UserError`.
    """
    if not settings.root.is_dir():  # without its disk, no video may be called unreadable
        raise UserError(
            f"{platform.node()} does not see {settings.root}; mount it, or correct --root"
        )
    tool = ffmpeg_here(settings.tool)
    decoder = Decoder(tool, settings.frame_settings, settings.limits)
    remarks: list[Remark] = []
    classes: list[str] = []
    digests: dict[str, str] = {}
    sources: dict[str, tuple[int, str]] = {}
    stamps: list[FileStamp] = []
    writer = ShardWriter(
        settings.store / shard_name(job.number),
        dataset=settings.dataset,
        settings=settings.as_json(),
        ffmpeg=tool.version,
    )
    with writer:
        for group in groups(job.videos):
            for video in group:
                stamp, sources[video.id] = seen_source(video, settings.root)
                stamps.append(stamp)
            for video, clip in zip(group, clips_of(group, decoder, settings), strict=True):
                remarks += remark_on(video, clip, settings.frame_settings)
                if isinstance(clip, Clip):
                    _add(writer, video, clip)
                    digests[video.id] = frames_digest(clip.jpegs)
                    classes.append(video.class_name)
            fresh = [video for video in group if video.member is None]
            on_progress(len(fresh), sum(video.size_bytes for video in fresh))
        writer.attributes["sources"] = as_json(sources, ascii=True)
        writer.attributes["digests"] = as_json(digests, ascii=True)
        writer.attributes["remarks"] = as_json([remark.as_json() for remark in remarks], ascii=True)
        if len(classes) < len(job.videos):  # a prep with wider limits tries the others again
            writer.attributes["limits"] = as_json(asdict(settings.limits), ascii=True)
    assert writer.entry is not None
    return ShardReport(
        number=job.number,
        entry=writer.entry,
        ffmpeg=tool.version,
        stamps=tuple(stamps),
        classes=tuple(classes),
        remarks=tuple(remarks),
    )


def groups(videos: Sequence[SourceVideo]) -> Iterator[list[SourceVideo]]:
    """Group neighbouring short videos, each group to be decoded in one process."""
    group: list[SourceVideo] = []
    for video in videos:
        size = sum(member.size_bytes for member in group) + video.size_bytes
        if group and (len(group) == MOST_TOGETHER or size > MOST_BYTES_TOGETHER):
            yield group
            group = []
        group.append(video)
    if group:
        yield group


def file_stamp(video: SourceVideo, root: Path) -> FileStamp:
    """Return path, bytes and time of change of a source; zeros where it is missing.

    The time of a member is that of its archive.
    """
    if video.member is not None:
        return video.path, video.size_bytes, video.member.archive.mtime_ns
    try:
        found = (root / video.path).stat()
    except OSError:
        return video.path, 0, 0
    return video.path, video.size_bytes, found.st_mtime_ns


def seen_source(video: SourceVideo, root: Path) -> tuple[FileStamp, tuple[int, str]]:
    """Return stamp and fingerprint of a source; where it cannot be read, the stamp is zeros.

    So the next prep looks at it again, even if only its permissions have changed.
    """
    stamp = file_stamp(video, root)
    if video.member is not None:
        return stamp, fingerprint(video, root)
    for pause in (*PAUSES, None):
        found = fingerprint(video, root)
        if found[1] or pause is None or not os.access(root / video.path, os.R_OK):
            break
        time.sleep(pause)
    return (stamp if found[1] else (video.path, 0, 0)), found


def fingerprint(video: SourceVideo, root: Path) -> tuple[int, str]:
    """Return bytes and sha256 of a source; 0 and an empty sha256 where it cannot be read."""
    if video.member is not None:
        return video.size_bytes, video.member.sha256
    digest = hashlib.sha256()
    path = root / video.path
    size = 0
    try:
        for file in [path] if video.kind == "video" else frame_files(path):
            with file.open("rb") as content:
                while piece := content.read(READ_BYTES):
                    digest.update(piece)
                    size += len(piece)
    except OSError:
        return 0, ""
    return size, digest.hexdigest()


def frames_digest(jpegs: Iterable[bytes]) -> str:
    """Return the sha256 of all frames of a video; with it, `tasd check` finds the damaged video."""
    digest = hashlib.sha256()
    for jpeg in jpegs:
        digest.update(jpeg)
    return digest.hexdigest()


def clips_of(
    group: Sequence[SourceVideo], decoder: Decoder, settings: PrepSettings
) -> list[Clip | UnreadableVideo]:
    """Return the clips of a group of video files, frame folders and members, in order."""
    files = [v.path for v in group if v.kind == "video" and v.member is None]
    decoded = decoder.decode([settings.root / path for path in files]) if files else []
    clips = dict(zip(files, decoded, strict=True))
    for video in group:
        if video.member is not None:
            clips[video.path] = read_waiting(waiting_path(settings.waiting, video.member))
        elif video.kind == "frames":
            folder = settings.root / video.path
            clips[video.path] = read_frame_folder(folder, settings.frame_settings)
    return [clips[video.path] for video in group]


def _add(writer: ShardWriter, video: SourceVideo, clip: Clip) -> None:
    writer.add(
        class_name=video.class_name,
        name=video.name,
        jpegs=clip.jpegs,
        times=clip.times,
        size=clip.size,
    )
