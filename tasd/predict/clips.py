"""Video files in, what the network says of them out: decoded as for training, never kept."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from prep.clip import FrameSettings
from prep.ffmpeg_process import Ffmpeg
from prep.limits import Limits
from prep.report import Remark
from prep.shard import PrepSettings, ShardJob, groups, write_shard
from tasd.datasets import SourceVideo
from tasd.episodes import View, evaluation_view
from tasd.errors import UserError
from tasd.loader import open_views
from tasd.predict.trained import TrainedNetwork
from tasd.store import Manifest, Store, write_manifest
from tasd.types import Features

VIEWS_AT_ONCE = 4
CLASS = "clip"


@dataclass(frozen=True)
class ClipView:
    """One look at a clip; start and end in seconds where it is a window of it."""

    view: View
    span: tuple[float, float] | None = None


@dataclass(frozen=True)
class ClipFeatures:
    """A clip as the network sees it.

    features: of each look; None where the clip could not be read, and ``problem`` says why.
    note: what the decoder has to say of a clip that it could read.
    """

    path: Path
    features: Features | None = None
    views: tuple[ClipView, ...] = ()
    problem: str = ""
    note: str = ""


# From an open store and the id of a clip in it, how to look at it. Raises `UserError`.
ViewsOf = Callable[[Store, str], tuple[ClipView, ...]]


def whole(frames: int) -> ViewsOf:
    """One look at the whole of a clip, as in a test."""
    return lambda store, clip: (ClipView(evaluation_view(clip, frames)),)


def clip_features(
    trained: TrainedNetwork,
    paths: Sequence[Path],
    tool: Ffmpeg,
    *,
    settings: FrameSettings,
    views_of: ViewsOf,
    limits: Limits | None = None,
) -> Iterator[ClipFeatures]:
    """Decode and look at each clip, in order, a few files at a time. No path comes twice.

    A path may be a folder of JPEG frames. What cannot be read is told in its `ClipFeatures`.
    """
    sources = [source_of(path, str(number)) for number, path in enumerate(paths)]
    for group in groups(sources):
        with tempfile.TemporaryDirectory(prefix="tasd-predict-") as folder:
            prep_settings = PrepSettings(
                root=Path("/"),
                store=Path(folder),
                dataset="folder",
                frame_settings=settings,
                tool=tool,
                limits=limits or Limits(),
            )
            clips = {source.id: paths[int(source.name)] for source in group}
            yield from _see(trained, group, clips, prep_settings, views_of)


def _see(
    trained: TrainedNetwork,
    group: list[SourceVideo],
    paths: Mapping[str, Path],
    prep_settings: PrepSettings,
    views_of: ViewsOf,
) -> Iterator[ClipFeatures]:
    """One pass of decoder and network over a few clips."""
    problems, notes = _prepared(group, prep_settings)
    store = Store(prep_settings.store)
    views: dict[str, tuple[ClipView, ...]] = {}
    for clip in [clip for clip in paths if clip not in problems]:
        try:
            views[clip] = views_of(store, clip)
        except UserError as error:
            problems[clip] = str(error)
    features = _features(trained, store, views) if views else {}
    for clip, path in paths.items():
        if clip in problems:
            yield ClipFeatures(path, problem=problems[clip])
        else:
            yield ClipFeatures(path, features[clip], views[clip], note=notes.get(clip, ""))


def source_of(path: Path, name: str) -> SourceVideo:
    """A clip as prep knows it: a file, or a folder of frames."""
    size = path.stat().st_size if path.is_file() else 0
    where = str(path.absolute())
    return SourceVideo(CLASS, name, where, size, "frames" if path.is_dir() else "video")


def _prepared(
    group: list[SourceVideo], prep_settings: PrepSettings
) -> tuple[dict[str, str], dict[str, str]]:
    """Write a store of these clips; what keeps some out of it, and what is said of others."""
    report = write_shard(ShardJob(0, tuple(group)), prep_settings)
    manifest = Manifest(
        dataset=prep_settings.dataset,
        ffmpeg=report.ffmpeg,
        settings=prep_settings.as_json(),
        shards=(report.entry,),
        splits={"train": (), "val": (), "test": (CLASS,)},
    )
    write_manifest(prep_settings.store, manifest)
    lost = {r.video: _reason(r) for r in report.remarks if r.kind == "unreadable"}
    worth_saying = [r for r in report.remarks if r.kind in ("too short", "damaged")]
    return lost, {remark.video: remark.reason for remark in worth_saying}


def _reason(remark: Remark) -> str:
    return remark.reason if Path(remark.path).exists() else "there is no such file"


def _features(
    trained: TrainedNetwork, store: Store, views: Mapping[str, Sequence[ClipView]]
) -> dict[str, Features]:
    """What the network says of each look at each clip."""
    data, model = trained.config.data, trained.model
    every = [look.view for own in views.values() for look in own]
    batches = [every[i : i + VIEWS_AT_ONCE] for i in range(0, len(every), VIEWS_AT_ONCE)]
    pixels = open_views(
        store,
        batches,
        size=data.crop,
        device=model.mean.device,
        kind=data.loader,
        threads=data.threads,
    )
    with torch.inference_mode():
        said = [model(batch) for batch in pixels]
    counts = [len(own) for own in views.values()]
    frames = torch.cat([part.frames for part in said]).split(counts)
    keep = model.matcher.needs_maps
    kept = [part.maps.float() for part in said if keep and part.maps is not None]
    maps = torch.cat(kept).split(counts) if kept else [None] * len(counts)
    return {clip: Features(*both) for clip, *both in zip(views, frames, maps, strict=True)}
