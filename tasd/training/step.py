"""The bookkeeping of one optimiser step: seeds, running statistics, gradients, metrics.

The science of a step, teacher, learner, backward and update, stands in `tasd.training.loop`.
"""

import contextlib
import hashlib
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tasd.episodes import Episode
from tasd.training import optimiser
from tasd.training.batchnorm import StepBuffers
from tasd.training.distributed import World
from tasd.training.learner import Learner
from tasd.training.teacher import Teacher
from tasd.types import EpisodeBatch, Losses, Targets


@dataclass(frozen=True)
class StepMetrics:
    """Means over the episodes of a step, with no graph behind them.

    terms: name -> raw and weighted value. relation_share: ||phi(A) - A|| / ||A||.
    """

    loss: float
    accuracy: float
    terms: dict[str, dict[str, float]]
    relation_share: float | None

    @property
    def record(self) -> dict[str, Any]:
        """Their part of a line of metrics.jsonl."""
        line: dict[str, Any] = {"loss": self.loss, "accuracy": self.accuracy, "terms": self.terms}
        if self.relation_share is not None:
            line["relation_share"] = self.relation_share
        return line


def step_metrics(losses: list[Losses], weights: dict[str, float], *, world: World) -> StepMetrics:
    """Average the numbers of a step over the episodes of all ranks."""
    shares = [loss.relation_share for loss in losses if loss.relation_share is not None]
    rows = {
        "loss": [loss.total for loss in losses],
        "accuracy": [loss.accuracy for loss in losses],
        **{f"term {name}": [loss.terms[name] for loss in losses] for name in losses[0].terms},
        **({"relation_share": shares} if shares else {}),
    }
    values = iter(torch.stack([v.detach().double() for row in rows.values() for v in row]).tolist())
    means = [sum(itertools.islice(values, len(row))) / len(row) for row in rows.values()]
    over_ranks = world.mean(torch.tensor(means, dtype=torch.float64, device=world.device))
    found = dict(zip(rows, over_ranks.tolist(), strict=True))
    raw = {name: found[f"term {name}"] for name in losses[0].terms}
    return StepMetrics(
        loss=found["loss"],
        accuracy=found["accuracy"],
        terms={name: {"raw": v, "weighted": weights[name] * v} for name, v in raw.items()},
        relation_share=found.get("relation_share"),
    )


@dataclass(frozen=True)
class StepResult:
    """Outcome of the episodes of one step, as plain numbers.

    metrics: means over the episodes of all ranks. gradient: norm before clipping.
    gradient_norms: of each term in the step's first episode, where they were computed.
    projection: the teacher's mean projection over all ranks, for the centre of Eq. 2.
    finite: True where loss and gradient are finite on every rank.
    """

    metrics: StepMetrics
    gradient: float
    gradient_norms: dict[str, dict[str, float]]
    projection: Tensor | None
    finite: bool


class Step:
    """One optimiser step after the other, each over the ``own`` episodes of this rank.

    In a step: `episode` around each forward and backward pass, `add` after it, `finish` after the
    last one, then `update` or `undo`.

    seed: of training, for dropout. clip: largest norm of the gradient, None for no limit.
    """

    def __init__(
        self, learner: Learner, world: World, *, own: int, seed: int, clip: float | None
    ) -> None:
        self.learner, self.world, self.own = learner, world, own
        self.seed, self.clip = seed, clip
        self.network: nn.Module = learner
        self._statistics = StepBuffers([learner])
        self._losses: list[Losses] = []
        self._projections: list[Tensor] = []

    @contextlib.contextmanager
    def episode(self, batch: EpisodeBatch) -> Iterator[None]:
        """Surround one episode's passes: its own seed, its own start of running statistics.

        Each episode is a function of (seed, episode): ranks and resume give the same numbers.
        Gradients are exchanged between ranks with the last episode of a step.
        """
        seed_dropout(self.seed, batch.episode)
        last = len(self._losses) + 1 == self.own
        with contextlib.ExitStack() as stack:
            if isinstance(self.network, DistributedDataParallel) and not last:
                stack.enter_context(self.network.no_sync())
            yield
        self._statistics.after_episode()

    def add(self, losses: Losses, targets: Targets | None) -> None:
        """Keep an episode's losses and the teacher's mean projection for `finish`."""
        self._losses.append(losses)
        if targets is not None and targets.projections is not None:
            self._projections.append(targets.projections.mean(dim=0))

    def finish(self) -> StepResult:
        """Clip the gradient and average the step's numbers over all ranks."""
        gradient = optimiser.clip(self.learner, self.clip)
        metrics = step_metrics(self._losses, self.learner.weights, world=self.world)
        norms = self._losses[0].gradient_norms
        mean = None
        if self._projections:
            mean = self.world.mean(torch.stack(self._projections).mean(dim=0))
        self._losses, self._projections = [], []
        finite = math.isfinite(gradient) and math.isfinite(metrics.loss)
        everywhere = not self.world.largest(int(not finite))
        return StepResult(metrics, gradient, norms, mean, finite=everywhere)

    def update(self) -> None:
        """Move running statistics by the mean over the step's episodes; forget the gradients."""
        self._statistics.after_step(self.world, episodes=self.own)
        self.learner.zero_grad(set_to_none=True)

    def undo(self) -> None:
        """Forget gradients and running statistics since the last update."""
        self._losses, self._projections = [], []
        self._statistics.undo()
        self.learner.zero_grad(set_to_none=True)

    def warm_up(self, batch: EpisodeBatch, teacher: Teacher | None) -> float:
        """Measure the seconds of an episode that changes nothing: the second of two passes.

        Afterwards the ranks exchange gradients. By then it is known which weights the loss does
        not reach: TA2N has some for several shots alone, others belong to a loss that is off.
        """
        began = 0.0
        for _ in range(2):
            began = time.monotonic()
            with self.episode(batch):
                targets = teacher(batch) if teacher is not None else None
                losses: Losses = self.learner(batch, targets)
                losses.total.backward()
            idle = [p for p in self.learner.parameters() if p.requires_grad and p.grad is None]
            self.undo()
            if batch.frames.is_cuda:
                torch.cuda.synchronize()
        seconds = time.monotonic() - began
        if self.world.size > 1:
            device = self.world.device
            self.network = DistributedDataParallel(
                self.learner,
                device_ids=[device] if device.type == "cuda" else None,
                broadcast_buffers=False,
                find_unused_parameters=bool(self.world.largest(len(idle))),
            )
        return seconds


def seed_dropout(seed: int, episode: Episode) -> None:
    """Seed torch's generator as a function of (training seed, episode) alone."""
    digest = hashlib.sha256(f"train/{seed}/{episode.index}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
