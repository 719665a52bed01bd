"""The passes of an episode, recorded before the first step and replayed in each.

To launch two thousand small operations takes the host longer than a GPU needs for some of them. A
recording is launched as one. It holds the passes alone: teacher, student, losses, backward pass,
clipped gradient. The update follows as in every step: a few operations over all weights.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from tasd.config import Config
from tasd.errors import UserError
from tasd.training import cuda_graph, optimiser
from tasd.training.known import class_numbers, known
from tasd.training.step import Figures, Step, seed_dropout
from tasd.training.teacher import Teacher
from tasd.types import EpisodeBatch, Targets

Out = TypeVar("Out")
# The largest difference between recorded and plain passes, relative. Rounding to bfloat16 is 0.004,
# and a wrong mask of dropout or a stale input is far above.
TOLERANCE = 0.02
MOVED = 1.02  # factor on all weights in the comparison: a stale copy of a weight shows


@runtime_checkable
class Recorder(Protocol):
    """The calls that recording needs; `tasd.training.cuda_graph.OnGpu` has them."""

    def __call__(self, work: Callable[[], Out]) -> Callable[[], Out]:
        """Return what replays ``work`` and returns its results, the same tensors always."""

    def beside(self, work: Callable[[], Out], until: nn.Module) -> Out:
        """Do ``work`` beside all that comes before the end of ``until``'s next forward pass."""

    def short_of_memory(self, weights: int) -> str:
        """Say how much memory is missing; empty where there is enough."""

    def wait(self) -> None:
        """Wait for all work of the device."""


class Recording:
    """The passes of one episode, replayed with the pixels, classes and seed of another.

    Two recordings: with and without the norms of each term's gradient.
    """

    def __init__(
        self, step: Step, teacher: Teacher | None, batch: EpisodeBatch, record: Recorder
    ) -> None:
        """Record; nothing is learnt from it. Raises `RuntimeError`."""
        self._step, self._teacher, self._record = step, teacher, record
        second = None if batch.second is None else batch.second.clone()
        self._batch = replace(batch, frames=batch.frames.clone(), second=second)
        self._labels = known(batch.episode, step.learner.class_index, batch.frames.device)
        self._replays: dict[bool, Callable[[], Figures]] = {}
        self._gradients: dict[bool, list[tuple[nn.Parameter, Tensor]]] = {}
        for norms in (False, True):
            seed_dropout(step.seed, batch.episode)
            self._replays[norms] = record(partial(self._passes, norms=norms))
            self._gradients[norms] = [
                (weight, optimiser.in_order_of(weight, weight.grad))
                for weight in step.learner.parameters()
                if weight.grad is not None
            ]
            step.undo()

    def _passes(self, *, norms: bool) -> Figures:
        """Take the passes that `tasd.training.loop` has, of a step of one episode."""
        step = self._step
        step.learner.zero_grad(set_to_none=True)
        targets = self._targets()
        losses = step.learner(self._batch, targets, gradient_norms=norms, labels=self._labels)
        losses.total.backward()
        step.passed()
        step.add(losses, targets)
        return step.figures()

    def _targets(self) -> Targets | None:
        teacher = self._teacher
        if teacher is None:
            return None
        student = self._step.learner.student
        targets: Targets = self._record.beside(partial(teacher, self._batch), until=student)
        return targets

    def fits(self, batch: EpisodeBatch) -> bool:
        """Return True where all shapes and labels are those of the recorded episode."""
        return _shape(batch) == _shape(self._batch)

    def replay(self, batch: EpisodeBatch, *, norms: bool) -> None:
        """Take the passes of ``batch``: the step has its figures, and each weight its gradient."""
        seed_dropout(self._step.seed, batch.episode)
        self._batch.frames.copy_(batch.frames)
        if self._batch.second is not None and batch.second is not None:
            self._batch.second.copy_(batch.second)
        numbers = class_numbers(batch.episode, self._step.learner.class_index)
        self._labels.classes.copy_(torch.tensor(numbers), non_blocking=True)
        figures = self._replays[norms]()
        for parameter, gradient in self._gradients[norms]:
            parameter.grad = gradient
        self._step.replayed(figures)


@dataclass(frozen=True)
class Recorded:
    """Recorded passes, or none and the reason.

    seconds: of an episode's passes, replayed or plain. difference: the largest between recorded
    and plain passes, relative.
    """

    recording: Recording | None = None
    why_not: str = ""
    seconds: float = 0.0
    difference: float = 0.0

    def replay(self, batch: EpisodeBatch, *, norms: bool) -> bool:
        """Replay the passes of ``batch``; False where the plain ones are to be taken."""
        if self.recording is None or not self.recording.fits(batch):
            return False
        self.recording.replay(batch, norms=norms)
        return True

    @property
    def line(self) -> str:
        """The line that a run prints on it."""
        if self.recording is None:
            return f"the passes of a step are not recorded as a CUDA graph: {self.why_not}"
        return (
            "the passes of a step are replayed from a CUDA graph; on the first episode they differ "
            f"from plain ones by {self.difference:.1e} at most"
        )


def why_not(config: Config) -> str:
    """Return the setting for which passes are not recorded; empty where they can be.

    The config is one that `tasd.training.plan.resolve` returned.
    """
    if config.training.graph == "off":
        return "training.graph is off"
    if config.training.episodes_per_step != 1:
        return f"a step has {config.training.episodes_per_step} episodes, and it is for one"
    if config.network.gradient_checkpointing:
        return "network.gradient_checkpointing is on"
    if config.distill.start or config.distill.teacher_temperature_start is not None:
        return "weights or temperature of the distillation change from step to step"
    return "training.compile is on" if config.training.compile else ""


def record_passes(
    step: Step, teacher: Teacher | None, batch: EpisodeBatch, config: Config
) -> Recorded:
    """Try the passes of a step, and record them where that can be done and changes no number.

    batch: an episode; nothing is learnt from it. Raises `UserError` where a recording fails in such
    a way that this process cannot train any more.
    """
    seconds = step.warm_up(batch, teacher)
    record = cuda_graph.recorder(step.world.device)
    if record is None:
        return Recorded(why_not=f"it is for GPUs, and this is {step.world.device}", seconds=seconds)
    if reason := why_not(config) or record.short_of_memory(_weights(step, teacher)):
        return Recorded(why_not=reason, seconds=seconds)
    try:
        recording = Recording(step, teacher, batch, record)
        difference = _difference(recording, step, teacher, batch)
    except RuntimeError as error:
        step.undo()
        _check_alive(step, teacher, batch)
        return Recorded(why_not=_first_line(error), seconds=seconds)
    if not difference <= TOLERANCE:
        reason = f"replayed passes differ from plain ones by {difference:.1e}"
        return Recorded(why_not=reason, seconds=seconds)
    seconds = _seconds(recording, step, batch, record)
    return Recorded(recording, seconds=seconds, difference=difference)


def _difference(
    recording: Recording, step: Step, teacher: Teacher | None, batch: EpisodeBatch
) -> float:
    """Return the largest difference of a term or gradient, relative, on other weights."""
    with _moved(step.learner, teacher):
        plain = _plain(step, teacher, batch)
        expected = _gradients(step.learner)
        step.undo()
        recording.replay(batch, norms=False)
        found = _gradients(step.learner)
        result = step.finish()
        step.undo()
    if found.keys() != expected.keys():
        return float("inf")
    total = float(torch.stack([g.norm() for g in expected.values()]).norm())
    least = max(total / 100, 1e-12)  # below it a weight's own gradient does not count alone
    apart = [
        float((found[name] - gradient).norm()) / max(float(gradient.norm()), least)
        for name, gradient in expected.items()
    ]
    values = dict(zip(plain.rows, plain.values.tolist(), strict=False))
    terms = {name: term["raw"] for name, term in result.metrics.terms.items()}
    apart += [
        abs(term - values[f"term {name}"]) / max(abs(values[f"term {name}"]), 1e-3)
        for name, term in terms.items()
    ]
    return max(apart)


def _plain(step: Step, teacher: Teacher | None, batch: EpisodeBatch) -> Figures:
    """Take the passes as a run without recording does."""
    with step.episode(batch):
        targets = teacher(batch) if teacher is not None else None
        losses = step.learner(batch, targets)
        losses.total.backward()
    step.add(losses, targets)
    return step.figures()


def _gradients(learner: nn.Module) -> dict[str, Tensor]:
    named = learner.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


@contextlib.contextmanager
def _moved(*networks: nn.Module | None) -> Iterator[None]:
    """Change all weights for a while, and then have them as they were, to the bit."""
    weights = [p.data for network in networks if network is not None for p in network.parameters()]
    before = [weight.clone() for weight in weights]
    torch._foreach_mul_(weights, MOVED)
    try:
        yield
    finally:
        torch._foreach_copy_(weights, before)


def _seconds(recording: Recording, step: Step, batch: EpisodeBatch, record: Recorder) -> float:
    record.wait()
    began = time.monotonic()
    recording.replay(batch, norms=False)
    record.wait()
    step.undo()
    return time.monotonic() - began


def _weights(step: Step, teacher: Teacher | None) -> int:
    networks = [step.learner, *([teacher] if teacher is not None else [])]
    return sum(p.numel() * p.element_size() for n in networks for p in n.parameters())


def _check_alive(step: Step, teacher: Teacher | None, batch: EpisodeBatch) -> None:
    """Take plain passes after a recording that failed. Raises `UserError` where they fail too."""
    try:
        _plain(step, teacher, batch).values.tolist()
    except RuntimeError as error:
        raise UserError(
            "the passes of a step could not be recorded as a CUDA graph, and now CUDA does not go "
            f"on in this process ({_first_line(error)}); begin again with --set training.graph=off"
        ) from None
    finally:
        step.undo()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _shape(batch: EpisodeBatch) -> tuple[object, ...]:
    second = None if batch.second is None else (batch.second.shape, batch.second.dtype)
    labels = batch.episode.support_labels, batch.episode.query_labels
    return batch.frames.shape, batch.frames.dtype, second, labels, batch.episode.way
