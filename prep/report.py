"""The report of a prep: remarks on single videos, counts, and the content of report.json."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from prep.clip import Clip, FrameSettings, UnreadableVideo
from tasd.datasets import Problem, SourceVideo
from tasd.progress import counted

Kind = Literal["unreadable", "too short", "repeated frames", "damaged", "noted"]
KINDS: tuple[Kind, ...] = ("unreadable", "too short", "repeated frames", "damaged", "noted")
LEFT_OUT = ("unreadable", "name", "link", "other file", "hidden")  # problems that --strict counts
# Videos a class that usual episodes need.
USUAL_EPISODES = {"1-shot episodes with 5 queries": 6, "5-shot episodes with 5 queries": 10}


@dataclass(frozen=True)
class Remark:
    """A remark on one video; ``path`` is that of its file below the root.

    code: of the reason, for scripts; empty where it is the kind.
    """

    video: str
    path: str
    kind: Kind
    reason: str
    code: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the remark as shards store it; without a code of its own it has none."""
        return {name: text for name, text in asdict(self).items() if text or name != "code"}


@dataclass(frozen=True)
class Report:
    """Outcome of a prep.

    prepared: number of videos of each class in the store. remarks: on videos that were decoded, or
    could not be. missing: ids of a list that were not found. problems: files and folders that
    could not be taken as videos.
    """

    prepared: Mapping[str, int]
    remarks: tuple[Remark, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def videos(self) -> int:
        """Number of videos in the store."""
        return sum(self.prepared.values())

    @property
    def counts(self) -> dict[str, int]:
        """Number of videos of each kind."""
        kinds = Counter(remark.kind for remark in self.remarks)
        found: dict[str, int] = {kind: kinds[kind] for kind in KINDS}
        return {"prepared": self.videos, **found, "missing": len(self.missing)}

    @property
    def losses(self) -> int:
        """Number of videos that are not in the store or not whole, and of files left out."""
        unread = sum(p.count for p in self.problems if p.kind in LEFT_OUT)
        counts = self.counts
        return counts["unreadable"] + counts["too short"] + counts["missing"] + unread

    def too_few(self, need: int) -> list[str]:
        """List the classes that have fewer than ``need`` videos in the store."""
        names = {*self.prepared, *(_class_of(video) for video in self._lost)}
        return sorted(name for name in names if self.prepared.get(name, 0) < need)

    @property
    def _lost(self) -> list[str]:
        lost = [remark.video for remark in self.remarks if remark.kind == "unreadable"]
        return [*lost, *self.missing]

    def as_json(self) -> dict[str, object]:
        """Return the content of report.json; the same for the same store and sources."""
        return {
            "counts": self.counts,
            "classes": dict(sorted(self.prepared.items())),
            "too_few": {name: self.too_few(need) for name, need in USUAL_EPISODES.items()},
            "videos": [
                {**asdict(r), "code": r.code or r.kind.replace(" ", "_")} for r in self.remarks
            ],
            "missing": sorted(self.missing),
            "problems": [asdict(problem) for problem in self.problems],
        }


def remark_on(
    video: SourceVideo, clip: Clip | UnreadableVideo, settings: FrameSettings
) -> list[Remark]:
    """Return the remarks on a decoded video, or the reason that it could not be decoded."""
    if isinstance(clip, UnreadableVideo):
        return [Remark(video.id, video.path, "unreadable", str(clip), clip.code)]
    remarks = []
    lost = clip.header_frames - clip.decoded
    # The headers of sound videos may be off by a frame or two.
    if lost > 2 + clip.header_frames // 20 and not _ends_in_time(clip):
        reason = f"{clip.decoded} of the {clip.header_frames} frames that its header claims"
        remarks.append(Remark(video.id, video.path, "too short", reason))
    if settings.fps is None and settings.frames and clip.decoded < settings.frames:
        reason = f"{counted(clip.decoded, 'frame')}, repeated evenly to {settings.frames}"
        remarks.append(Remark(video.id, video.path, "repeated frames", reason))
    if clip.complaint:
        remarks.append(Remark(video.id, video.path, "damaged", clip.complaint))
    remarks += [Remark(video.id, video.path, "noted", text, code) for code, text in clip.remarks]
    return remarks


def _ends_in_time(clip: Clip) -> bool:
    """True where the last frame is at the end by the header: some before it were dropped."""
    frame = clip.header_seconds / clip.header_frames
    return clip.seconds > 0 and clip.seconds + 3 * frame >= 0.95 * clip.header_seconds > 0


def _class_of(video: str) -> str:
    return video.partition("/")[0]
