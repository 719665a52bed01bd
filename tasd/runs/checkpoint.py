"""Checkpoints: written whole or not at all, read without executing anything from the file."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasd.config import Config
from tasd.errors import UserError
from tasd.files import replacing, sync_folder
from tasd.model import Model, build_model
from tasd.runs import format1, format2
from tasd.runs.plain import PLAIN, plain_network
from tasd.runs.rules import read_config
from tasd.runs.shapes import below, of_network, without_heads
from tasd.runs.tensorfile import all_finite, read_header, read_tensors, write_tensors
from tasd.runs.way_out import damaged, remark
from tasd.runs.zero_weights import ZeroWeights
from tasd.store import VideoSource


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
    Eq. 2). optimiser is None in best.pt, which holds the networks alone. sha256: of the file that
    it was read from; it names the checkpoint in results.
    """

    config: Config
    progress: Progress
    classes: tuple[str, ...]
    dataset: str
    store_hash: str
    learner: dict[str, Any]
    teacher: dict[str, Any] | None
    optimiser: dict[str, Any] | None
    sha256: str = ""

    @property
    def network_names(self) -> tuple[str, ...]:
        """The student, the teacher where there is one, the plain backbone where it is the best.

        Later checkpoints of the same run have no plain backbone: theirs is trained.
        """
        trained = ("student",) if self.teacher is None else ("student", "teacher")
        best = self.progress.best
        plain = best.network == PLAIN and self.progress.episode == best.episode
        return (*trained, PLAIN) if plain else trained

    @property
    def best_network(self) -> str:
        """The network that was better on the validation classes."""
        best = self.progress.best.network
        return best if best in self.network_names else self.network_names[0]

    def light(self) -> "Checkpoint":
        """Return it without the optimiser and without the heads that only training reads."""
        teacher = None if self.teacher is None else of_network(self.teacher, "model.")
        learner = of_network(self.learner, "student.")
        return replace(self, learner=learner, teacher=teacher, optimiser=None)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by the names that they have in the file."""
        found = {f"learner/{name}": value for name, value in self.learner.items()}
        found |= {f"teacher/{name}": value for name, value in (self.teacher or {}).items()}
        for index, state in (self.optimiser or {"state": {}})["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    found[f"optimiser/{index}/{key}"] = value
        return found

    @property
    def infinite(self) -> str | None:
        """The first weight that is inf or NaN; None where all are finite."""
        return all_finite(iter(self.tensors().items()))

    def save(self, path: Path, *, keep_previous: bool = False, also: Sequence[Path] = ()) -> None:
        """Write the file whole or not at all: temporary name, fsync, rename.

        keep_previous: keep the file of that name as ``previous.pt`` beside it.
        also: further names of this file, which are in place before ``path`` is; the data is
        written once.
        """
        with replacing(path, one_writer=True) as temporary:
            write_tensors(temporary, self.tensors(), notes_of(self))
            if also:
                _sync(temporary)
            for name in also:
                link(temporary, name)
            if keep_previous and path.exists():
                link(path, path.with_name("previous.pt"))
            sync_folder(path.parent)  # the other names are on the disk before this one says so
        sync_folder(path.parent)


def load(path: Path, *, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint and hold it against its digest. Raises `UserError`.

    Its hash is that of the bytes that were read, also where training replaces the file meanwhile.
    """
    try:
        return _load(path, device)
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such checkpoint; tasd train writes checkpoints"
        ) from None
    except UserError:
        raise
    except Exception as error:
        raise damaged(path, error, whole=_whole) from None


@dataclass(frozen=True)
class Noted:
    """The notes of a checkpoint on itself, without its tensors."""

    config: Config
    progress: Progress
    complete: bool


def peek(path: Path) -> Noted:
    """Read config and progress, and no tensors where the format allows. Raises `UserError`."""
    try:
        with path.open("rb") as file:
            if file.read(4) != format1.MAGIC:
                file.seek(0)
                about = format2.noted(read_header(file), path)
                config = read_config(about["config"], source=str(path))
                return Noted(config, _progress(about["progress"]), about["optimiser"] is not None)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # `load` says what is wrong
    saved = load(path)
    return Noted(saved.config, saved.progress, saved.optimiser is not None)


def _load(path: Path, device: torch.device | str) -> Checkpoint:
    with path.open("rb") as file:
        if file.read(4) == format1.MAGIC:
            file.seek(0)
            return _load_format1(path, *format1.read(file, device=device))
        file.seek(0)
        read = read_tensors(file, device=device, check=lambda header: format2.check(header, path))
    about = read.about
    parts: dict[str, dict[str, Any]] = {"learner": {}, "teacher": {}}
    for name, value in read.tensors.items():
        part, _, rest = name.partition("/")
        if part != "optimiser":
            parts[part][rest] = value
    return Checkpoint(
        config=read_config(about["config"], source=str(path)),
        progress=_progress(about["progress"]),
        classes=tuple(about["classes"]),
        dataset=about["dataset"],
        store_hash=about["store_hash"],
        learner=parts["learner"],
        teacher=parts["teacher"] if about["teacher"] else None,
        optimiser=format2.optimiser(about["optimiser"], read.tensors),
        sha256=read.sha256,
    )


def _whole(path: Path) -> bool:
    """True where the file at ``path`` can be read whole."""
    try:
        _load(path, "cpu")
    except Exception:
        return False
    return True


def _load_format1(path: Path, tree: dict[str, Any], sha256: str) -> Checkpoint:
    del tree["format"]
    config = read_config(tree.pop("config"), source=str(path))
    progress, classes = _progress(tree.pop("progress")), tuple(tree.pop("classes"))
    saved = Checkpoint(config=config, progress=progress, classes=classes, sha256=sha256, **tree)
    format2.check_networks(saved.config, classes, saved.learner, saved.teacher, light=False)
    remark(f"{path} has checkpoint format 1, which carries no digest of its own; it is read")
    return saved


def notes_of(saved: Checkpoint) -> dict[str, Any]:
    """Return everything but the tensors, as plain values."""
    return {
        "kind": "checkpoint",
        "format": format2.VERSION,
        "config": saved.config.model_dump(),
        "progress": asdict(saved.progress),
        "classes": list(saved.classes),
        "dataset": saved.dataset,
        "store_hash": saved.store_hash,
        "teacher": saved.teacher is not None,
        "optimiser": format2.plain_optimiser(saved.optimiser),
    }


def _progress(found: Mapping[str, Any]) -> Progress:
    return Progress(**{**found, "best": Best(**found["best"])})


def file_hash(path: Path) -> str:
    """Return the sha256 of a checkpoint's file without reading the checkpoint."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def networks(checkpoint: Checkpoint) -> dict[str, Model]:
    """Build the networks of a checkpoint, by its `Checkpoint.network_names`.

    They are in eval mode, without the heads that only training reads. No weights are read from
    anywhere else. Raises `UserError`.
    """
    found = {}
    light = checkpoint.light()
    states = {"student": below(light.learner, "student.")}
    if light.teacher is not None:
        states["teacher"] = below(light.teacher, "model.")
    config = without_heads(checkpoint.config)
    for name, state in states.items():
        infinite = all_finite(iter(state.items()))
        if infinite is not None:
            raise UserError(
                f"the checkpoint's {name} has weights that are not finite ({infinite}), so its "
                "scores mean nothing; take an earlier checkpoint, or train again with a lower "
                "optimiser.lr"
            )
        with ZeroWeights():
            model = build_model(config, classes=len(checkpoint.classes), initialise=False)
        fill(model, state, source=f"the checkpoint's {name}")
        found[name] = model.eval().requires_grad_(False)
    if PLAIN in checkpoint.network_names:
        found[PLAIN] = plain_network(found["student"], config).eval()
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


def link(source: Path, target: Path) -> None:
    """Give ``source`` a second name, atomically; copy it where the file system has no links."""
    with replacing(target, one_writer=True) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def trained_classes(saved: Checkpoint, store: VideoSource) -> tuple[str, ...]:
    """Return the classes that a network was trained on, those of its frozen backbone too."""
    return tuple(dict.fromkeys(saved.classes + store.trained_on))
