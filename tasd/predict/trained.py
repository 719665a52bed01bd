"""The trained network that labels new clips, and the settings of the frames that it reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from prep.clip import FrameSettings
from tasd.config import Config
from tasd.device import native_precision
from tasd.errors import UserError
from tasd.extraction.inference import inference_copy
from tasd.files import as_json, write_text
from tasd.foreign import remark
from tasd.model import Model
from tasd.runs import checkpoint
from tasd.runs.checkpoint import Checkpoint
from tasd.runs.folder import Run
from tasd.runs.plain import PLAIN, plain_config
from tasd.runs.stores import find_store
from tasd.store import Store

SETTINGS_FILE = "predict.json"  # in a run
UNTRAINED = "backbone"  # the network that is a pretrained backbone, without training


@dataclass(frozen=True)
class Threshold:
    """The least score of the best class with which a clip is accepted, and its error rates.

    way, shot: of the episodes that it was found with. score: the threshold itself.
    true_accept: share of the queries of an episode's classes that it accepts.
    false_accept: share of the queries of other classes that it accepts.
    episodes: number of episodes; 0 where it was found on the support, see
    `tasd.predict.leave_one_out`. classes: number of validation classes they were drawn from, or of
    the support. fewest: number of videos of the smallest of these classes.
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
    def summary(self) -> str:
        """The threshold and its error rates in a sentence."""
        if not self.episodes:
            return (
                f"threshold {self.score:.4g}: accepts {self.true_accept:.0%} of the support clips, "
                f"each left out in turn, and {self.false_accept:.0%} with its whole class left out"
            )
        return (
            f"threshold {self.score:.4g} for {self.way}-way {self.shot}-shot: accepts "
            f"{self.true_accept:.0%} of the clips of the classes and {self.false_accept:.0%} of "
            f"other clips ({self.episodes} episodes of {self.classes} validation classes)"
        )


@dataclass(frozen=True)
class TrainedNetwork:
    """A network from a run or an export, or a pretrained backbone, in eval mode.

    path: the folder; of a backbone that of all runs and stores. identity: sha256 of its checkpoint;
    of a backbone that of name, weights and matcher. network: student, teacher, plain (a run's
    backbone, which no training of it has beaten), or `UNTRAINED`.
    classes: those it was trained on. frames: how its frames are made from videos.
    thresholds: those found so far, see `tasd.predict.reject`. without_matcher: as identity, of all
    that features depend on; empty where that is identity.
    """

    path: Path
    identity: str
    network: str
    model: Model
    config: Config
    classes: tuple[str, ...]
    frames: FrameSettings
    thresholds: tuple[Threshold, ...] = ()
    without_matcher: str = ""

    @cached_property
    def swift(self) -> Model:
        """The network for features of clips: faster, its features equal to rounding."""
        return inference_copy(self.model)

    @property
    def feature_settings(self) -> dict[str, Any]:
        """All that the features of a clip depend on, except decoder and precision, as JSON."""
        data = self.config.data
        return {
            "checkpoint": self.without_matcher or self.identity,
            "network": self.network,
            "settings": self.frames.as_json(),
            "frames": data.frames,
            "crop": data.crop,
            "maps": self.model.matcher.needs_maps,
        }

    @property
    def name(self) -> str:
        """The network in a few words, for messages."""
        network = self.config.network
        if self.network == UNTRAINED:
            return f"the backbone {network.backbone} with the weights {network.weights}"
        return f"the {self.kind} of {self.path}"

    @property
    def kind(self) -> str:
        """The network of the run, in words."""
        return "plain backbone" if self.network == PLAIN else self.network


def trained_network(run: Run, *, store: Path | None = None) -> TrainedNetwork:
    """Load the best network of a run's best checkpoint: student, teacher or plain backbone.

    The first call reads from the store how the frames were made, and writes that into the run.

    store: read in place of the one that the run was trained on. Raises `UserError`.
    """
    run.config()  # refuses a folder that is not a run
    saved = checkpoint.load(run.best)
    refuse_features(run.path, saved.config)
    known = _read_settings(run, saved.sha256)
    name = saved.best_network
    model, config = checkpoint.networks(saved)[name], saved.config
    if name == PLAIN:
        config = plain_config(config, channels=model.backbone.channels)
    trained = TrainedNetwork(
        path=run.path,
        identity=saved.sha256,
        network=name,
        model=model,
        config=config,
        classes=saved.classes,
        frames=known[0] if known is not None and store is None else _frames_of(store, saved),
        thresholds=known[1] if known is not None else (),
    )
    if known is None or known[0] != trained.frames:
        write_settings(trained)
    return trained


def write_settings(trained: TrainedNetwork) -> None:
    """Write frame settings and thresholds into the run; where that cannot be, one line says so."""
    content = {"version": 1, "checkpoint": trained.identity, **settings_as_json(trained)}
    try:
        write_text(trained.path / SETTINGS_FILE, as_json(content, indent=1, ascii=True) + "\n")
    except UserError as error:
        remark(f"{error}; the answers are the same, and the next call reads the store again")


def settings_as_json(trained: TrainedNetwork) -> dict[str, Any]:
    """Return frame settings and thresholds as plain data."""
    return {
        "frames": trained.frames.as_json(),
        "thresholds": [asdict(threshold) for threshold in trained.thresholds],
    }


def settings_from_json(
    content: Mapping[str, Any],
) -> tuple[FrameSettings, tuple[Threshold, ...]]:
    """Read what `settings_as_json` returned.

    Raises `KeyError`, `TypeError` or `ValueError` for anything else.
    """
    thresholds = tuple(Threshold(**entry) for entry in content["thresholds"])
    return stored_frame_settings(content["frames"]), thresholds


def stored_frame_settings(settings: Mapping[str, Any]) -> FrameSettings:
    """Read frame settings as a store has them.

    Raises `KeyError`, `TypeError` or `ValueError`.
    """
    frames, fps = settings["frames"], settings["fps"]
    return FrameSettings(
        frames=None if frames in ("all", None) else int(frames),
        fps=None if fps is None else float(fps),
        resize=settings["resize"],
        size=int(settings["size"]),
    )


def on_device(trained: TrainedNetwork, device: torch.device) -> TrainedNetwork:
    """Move a network to a device, in the precision of its training where the device has it."""
    model = trained.model.to(device).eval()
    model.precision = native_precision(trained.config.training.precision, device)
    return replace(trained, model=model)


def refuse_features(path: Path, config: Config) -> None:
    """Raise `UserError` where a run was trained on features: new clips have none."""
    if config.data.features is not None:
        raise UserError(
            f"{path} was trained on the features of {config.data.features}, and new clips have "
            "none; train on frames (tasd train without --features) to label clips"
        )


def with_threshold(known: Sequence[Threshold], new: Threshold) -> tuple[Threshold, ...]:
    """Return the thresholds with ``new`` in place of an older one of its way and shot."""
    others = (t for t in known if (t.way, t.shot) != (new.way, new.shot))
    return (*others, new)


def _frames_of(store: Path | None, saved: Checkpoint) -> FrameSettings:
    with find_store(store, saved) as opened:
        assert isinstance(opened, Store)
        try:
            return stored_frame_settings(opened.settings)
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"the store {opened.path} does not say how its frames were made (frames, fps, "
                "resize, size), and new clips need the same; prepare the store with tasd prep"
            ) from None


def _read_settings(run: Run, identity: str) -> tuple[FrameSettings, tuple[Threshold, ...]] | None:
    """Read the run's settings; None where it has none, or only those of an older checkpoint."""
    try:
        content = json.loads((run.path / SETTINGS_FILE).read_text("utf-8"))
        return settings_from_json(content) if content["checkpoint"] == identity else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
