"""Checkpoints: written whole or not at all, read without executing anything from the file."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tasd.config import Config
from tasd.errors import UserError
from tasd.files import replacing
from tasd.model import Model, build_model
from tasd.runs.rules import read_config
from tasd.store import VideoSource

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Best:
    """The best validation so far: episode, accuracy, and the network that reached it."""

    episode: int = 0
    accuracy: float = -1.0
    network: str = "student"


@dataclass(frozen=True)
class Progress:
    """Progress of a run: training episodes and optimiser steps done, steps skipped, the best."""

    episode: int = 0
    step: int = 0
    skipped: int = 0
    best: Best = Best()


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped, or to be evaluated.

    classes: the training classes. dataset, store_hash: what it was trained on. learner, teacher,
    optimiser: state dicts (teacher None for recipes without one; its state holds the centre of
    Eq. 2). sha256: of the file that it was read from; it names the checkpoint in results.
    """

    config: Config
    progress: Progress
    classes: tuple[str, ...]
    dataset: str
    store_hash: str
    learner: dict[str, Any]
    teacher: dict[str, Any] | None
    optimiser: dict[str, Any]
    sha256: str = ""

    @property
    def network_names(self) -> tuple[str, ...]:
        """The networks that it holds: the student, and the teacher where there is one."""
        return ("student",) if self.teacher is None else ("student", "teacher")

    @property
    def best_network(self) -> str:
        """The network that was better on the validation classes."""
        best = self.progress.best.network
        return best if best in self.network_names else self.network_names[0]

    def save(self, path: Path, *, keep_previous: bool = False, also: Sequence[Path] = ()) -> None:
        """Write the file whole or not at all: temporary name, fsync, rename.

        keep_previous: keep the file of that name as ``previous.pt`` beside it.
        also: further names of this file; the data is written once.
        """
        tree = {f: getattr(self, f) for f in self.__dataclass_fields__ if f != "sha256"}
        tree |= {
            "format": FORMAT_VERSION,
            "config": self.config.model_dump(),
            "classes": list(self.classes),
            "progress": asdict(self.progress),
        }
        with replacing(path, one_writer=True) as temporary:
            torch.save(tree, temporary)
            if keep_previous and path.exists():
                _link(path, path.with_name("previous.pt"))
        for name in also:
            _link(path, name)
        _sync_folder(path.parent)


def load(path: Path, *, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint; only tensors and plain values are ever unpickled. Raises `UserError`.

    Its hash is that of the bytes that were read, also where training replaces the file meanwhile.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such checkpoint; tasd train writes checkpoints")
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            tree = torch.load(file, map_location=device, weights_only=True)
    except Exception as error:
        before = path.with_name("previous.pt")
        way_out = (
            f"the checkpoint before it is there: --resume {before}"
            if before.is_file() and before != path
            else "take another checkpoint"
        )
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UserError(f"{path} is damaged or not a checkpoint ({reason}); {way_out}") from None
    if not isinstance(tree, dict) or "format" not in tree:
        raise UserError(f"{path} is not a checkpoint of tasd; take one that tasd train wrote")
    version = tree.pop("format")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} has checkpoint format {version}, this tasd reads {FORMAT_VERSION}; use the "
            "tasd that wrote it"
        )
    config = read_config(tree.pop("config"), source=str(path))
    progress, classes = tree.pop("progress"), tuple(tree.pop("classes"))
    progress = Progress(**progress | {"best": Best(**progress["best"])})
    return Checkpoint(config=config, progress=progress, classes=classes, sha256=sha256, **tree)


def file_hash(path: Path) -> str:
    """Return the sha256 of a checkpoint's file without reading the checkpoint."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def networks(checkpoint: Checkpoint) -> dict[str, Model]:
    """Build the networks of a checkpoint by name: ``student``, and ``teacher`` where there is one.

    They are in eval mode. No weights are read from anywhere else.
    """
    found = {}
    states = {"student": _below(checkpoint.learner, "student.")}
    if checkpoint.teacher is not None:
        states["teacher"] = _below(checkpoint.teacher, "model.")
    for name, state in states.items():
        model = build_model(checkpoint.config, classes=len(checkpoint.classes), initialise=False)
        fill(model, state, source=f"the checkpoint's {name}")
        found[name] = model.eval().requires_grad_(False)
    return found


def fill(module: nn.Module, state: dict[str, Any], *, source: str) -> None:
    """Load a state dict; a mismatch is reported in one line. Raises `UserError`."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise UserError(
            f"{source} does not fit this config ({detail[:160]}); resume with the config it was "
            "trained with, or start a new run"
        ) from None


def _below(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _link(source: Path, target: Path) -> None:
    """Give ``source`` a second name, atomically; copy it where the file system has no links."""
    with replacing(target, one_writer=True) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def trained_classes(saved: Checkpoint, store: VideoSource) -> tuple[str, ...]:
    """Return the classes that a network was trained on, those of its frozen backbone too."""
    return tuple(dict.fromkeys(saved.classes + store.trained_on))
