"""What labels new clips: a network with its matcher, and how the frames were made for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from prep.clip import FrameSettings
from tasd.config import Config
from tasd.device import native_precision
from tasd.errors import UserError
from tasd.files import write_text
from tasd.model import Model
from tasd.runs import checkpoint
from tasd.runs.checkpoint import Checkpoint
from tasd.runs.folder import Run
from tasd.runs.stores import find_store
from tasd.store import Store

MEMORY = "predict.json"


@dataclass(frozen=True)
class Threshold:
    """The least score of the best class that is believed, and what that costs.

    way, shot: shape of the episodes that it was found with. score: the threshold itself.
    true_accept: share of queries of the episode's classes that it lets through, of those of
    other classes false_accept. episodes: how many, of so many validation ``classes`` with
    ``fewest`` videos or more.
    """

    way: int
    shot: int
    score: float
    true_accept: float
    false_accept: float
    episodes: int
    classes: int
    fewest: int

    @property
    def told(self) -> str:
        """In words."""
        return (
            f"threshold {self.score:.4g} for {self.way}-way {self.shot}-shot: lets through "
            f"{self.true_accept:.0%} of clips of the classes and {self.false_accept:.0%} of clips "
            f"of others ({self.episodes} episodes of {self.classes} validation classes)"
        )


@dataclass(frozen=True)
class TrainedNetwork:
    """A network from a run or an export, in eval mode.

    path: the folder. identity: sha256 of its checkpoint. network: student or teacher.
    classes: those it was trained on. frames: how its frames were made from videos.
    thresholds: known so far, see `tasd.predict.reject`.
    """

    path: Path
    identity: str
    network: str
    model: Model
    config: Config
    classes: tuple[str, ...]
    frames: FrameSettings
    thresholds: tuple[Threshold, ...] = ()


def of_run(run: Run, *, store: Path | None = None) -> TrainedNetwork:
    """The best checkpoint of a run, its better network.

    The first time, its store is opened to learn how its frames were made; the run remembers.

    store: in place of the one it was trained on. Raises `UserError`.
    """
    run.config()  # a folder that is no run is told as such
    saved = checkpoint.load(run.best)
    refuse_features(run.path, saved.config)
    identity = checkpoint.file_hash(run.best)
    networks = checkpoint.networks(saved)
    best = saved.progress.best.network
    network = best if best in networks else next(iter(networks))
    known = _remembered(run, identity)
    trained = TrainedNetwork(
        path=run.path,
        identity=identity,
        network=network,
        model=networks[network],
        config=saved.config,
        classes=saved.classes,
        frames=known[0] if known is not None and store is None else _frames_of(store, saved),
        thresholds=known[1] if known is not None else (),
    )
    if known is None or known[0] != trained.frames:
        remember(trained)
    return trained


def remember(trained: TrainedNetwork) -> None:
    """Write down in the run what is not in its checkpoint. Raises `UserError`."""
    content = {"version": 1, "checkpoint": trained.identity, **as_json(trained)}
    write_text(trained.path / MEMORY, json.dumps(content, indent=1) + "\n")


def as_json(trained: TrainedNetwork) -> dict[str, Any]:
    """Frame settings and thresholds as plain data."""
    return {
        "frames": trained.frames.as_json(),
        "thresholds": [asdict(threshold) for threshold in trained.thresholds],
    }


def from_json(content: Mapping[str, Any]) -> tuple[FrameSettings, tuple[Threshold, ...]]:
    """What `as_json` gave. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
    thresholds = tuple(Threshold(**entry) for entry in content["thresholds"])
    return settings_of(content["frames"]), thresholds


def settings_of(settings: Mapping[str, Any]) -> FrameSettings:
    """Frame settings as a store remembers them. Raises `KeyError` or `TypeError`."""
    frames, fps = settings["frames"], settings["fps"]
    return FrameSettings(
        frames=None if frames in ("all", None) else int(frames),
        fps=None if fps is None else float(fps),
        resize=settings["resize"],
        size=int(settings["size"]),
    )


def ready(trained: TrainedNetwork, device: str) -> TrainedNetwork:
    """The same on a device, in the precision of its training where the device has that."""
    model = trained.model.to(device).eval()
    model.precision = native_precision(trained.config.training.precision, torch.device(device))
    return replace(trained, model=model)


def refuse_features(path: Path, config: Config) -> None:
    """Raise `UserError` where a run was trained on features: a new clip has none."""
    if config.data.features is not None:
        raise UserError(
            f"{path} was trained on the features of {config.data.features}, and a new clip has "
            "none; train on frames (tasd train without --features) to label clips"
        )


def with_threshold(known: Sequence[Threshold], new: Threshold) -> tuple[Threshold, ...]:
    """The thresholds with this one, in place of an older one of its shape."""
    others = (t for t in known if (t.way, t.shot) != (new.way, new.shot))
    return (*others, new)


def _frames_of(store: Path | None, saved: Checkpoint) -> FrameSettings:
    with find_store(store, saved) as opened:
        assert isinstance(opened, Store)
        try:
            return settings_of(opened.settings)
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"the store {opened.path} does not say how its frames were made (frames, fps, "
                "resize, size), so that none can be made of new clips; prepare it with tasd prep"
            ) from None


def _remembered(run: Run, identity: str) -> tuple[FrameSettings, tuple[Threshold, ...]] | None:
    """None where nothing is, or of an older checkpoint."""
    try:
        content = json.loads((run.path / MEMORY).read_text("utf-8"))
        return from_json(content) if content["checkpoint"] == identity else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
