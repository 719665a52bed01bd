"""Features of video files: decoded as for training, passed through the network, not stored."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from tasd.extraction.forward import forward_views, in_batches
from tasd.predict.trained import TrainedNetwork
from tasd.store import Manifest, Store, write_manifest
from tasd.types import Features

VIEWS_PER_BATCH = 4
CLASS = "clip"  # of all clips, in the temporary store that they are decoded into


@dataclass(frozen=True)
class ClipView:
    """One view of a clip; ``span`` is start and end in seconds where it is a window of it."""

    view: View
    span: tuple[float, float] | None = None


@dataclass(frozen=True)
class ClipFeatures:
    """The features of one clip.

    features: of each view; None where the clip could not be read, and ``problem`` says why.
    note: a remark of the decoder on a clip that it could read. cached: True where the features
    come from a cache.
    """

    path: Path
    features: Features | None = None
    views: tuple[ClipView, ...] = ()
    problem: str = ""
    note: str = ""
    cached: bool = False


# From an open store and the id of a clip in it to the views of that clip. Raises `UserError`.
ViewsOf = Callable[[Store, str], tuple[ClipView, ...]]


def whole_clip(frames: int) -> ViewsOf:
    """Return a function that gives one view of the whole clip, as in evaluation."""
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
    """Compute the features of each clip, in order, a few files at a time.

    paths: each once; a path may be a folder of JPEG frames. The `ClipFeatures` of a clip that
    cannot be read holds the reason.
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
            named = [_named(source, Path(folder)) for source in group]
            found = list(_group_features(trained, named, clips, prep_settings, views_of))
        yield from found  # the folder is gone, also where nobody asks for the rest


def _group_features(
    trained: TrainedNetwork,
    group: list[SourceVideo],
    paths: Mapping[str, Path],
    prep_settings: PrepSettings,
    views_of: ViewsOf,
) -> Iterator[ClipFeatures]:
    """Decode a few clips together and compute their features."""
    problems, notes = _write_store(group, prep_settings)
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
    """Describe a clip, a file or a folder of frames, as a source of prep."""
    size = path.stat().st_size if path.is_file() else 0
    absolute = str(path.absolute())
    return SourceVideo(CLASS, name, absolute, size, "frames" if path.is_dir() else "video")


def _named(source: SourceVideo, folder: Path) -> SourceVideo:
    """Return the same clip; by a link in ``folder`` where ffmpeg could not be given its name."""
    try:
        source.path.encode()
    except UnicodeEncodeError:  # the name of the file is not UTF-8
        link = folder / f"clip-{source.name}.video"
        link.symlink_to(source.path)
        return replace(source, path=str(link))
    return source


def _write_store(
    group: list[SourceVideo], prep_settings: PrepSettings
) -> tuple[dict[str, str], dict[str, str]]:
    """Write a store of these clips; return the problems of those left out, and notes on others."""
    report = write_shard(ShardJob(0, tuple(group)), prep_settings)
    manifest = Manifest(
        dataset=prep_settings.dataset,
        ffmpeg=report.ffmpeg,
        settings=prep_settings.as_json(),
        shards=(report.entry,),
        splits={"train": (), "val": (), "test": (CLASS,)},
    )
    write_manifest(prep_settings.store, manifest)
    problems = {r.video: _reason(r) for r in report.remarks if r.kind == "unreadable"}
    notes = {r.video: r.reason for r in report.remarks if r.kind in ("too short", "damaged")}
    return problems, notes


def _reason(remark: Remark) -> str:
    return remark.reason if Path(remark.path).exists() else "there is no such file"


def _features(
    trained: TrainedNetwork, store: Store, views: Mapping[str, Sequence[ClipView]]
) -> dict[str, Features]:
    """Features of the views of each clip."""
    data, model = trained.config.data, trained.model
    flat = [clip_view.view for of_clip in views.values() for clip_view in of_clip]
    batches = list(
        forward_views(
            trained.swift.condensed,
            store,
            in_batches(flat, VIEWS_PER_BATCH),
            size=data.crop,
            device=model.mean.device,
            kind=data.loader,
            threads=data.threads,
        )
    )
    counts = [len(of_clip) for of_clip in views.values()]
    frames = torch.cat([batch.frames for batch in batches]).split(counts)
    needed = model.matcher.needs_maps
    parts = [batch.maps.float() for batch in batches if needed and batch.maps is not None]
    maps = torch.cat(parts).split(counts) if parts else [None] * len(counts)
    return {clip: Features(*both) for clip, *both in zip(views, frames, maps, strict=True)}
