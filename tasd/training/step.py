"""One optimiser step: its episodes forwards and backwards, then the update."""

import contextlib
import hashlib
import itertools
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tasd.config import Config
from tasd.episodes import Episode
from tasd.training import optimiser
from tasd.training.batchnorm import StepBuffers
from tasd.training.distributed import World
from tasd.training.learner import Learner
from tasd.training.log import StepMetrics, step_metrics
from tasd.training.teacher import Teacher
from tasd.types import EpisodeBatch, Losses


@dataclass(frozen=True)
class Passed:
    """What the episodes of a step said on this rank; their graphs are gone.

    numbers: over the episodes of all ranks. length: norm of the gradient before it was clipped.
    slopes: of each term, where asked for. projections: the teacher's mean projection in each
    episode, for the centre of Eq. 2.
    """

    episodes: int
    numbers: StepMetrics
    length: float
    gradient_norms: dict[str, dict[str, float]]
    projections: list[Tensor]

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are numbers."""
        return math.isfinite(self.length) and math.isfinite(self.numbers.loss)


class Step:
    """Takes steps of a learner and its teacher: `passes`, then `update` or `undo`."""

    def __init__(
        self,
        config: Config,
        learner: Learner,
        *,
        teacher: Teacher | None,
        optimiser: torch.optim.Optimizer,
        world: World,
    ) -> None:
        self.config, self.learner, self.teacher = config, learner, teacher
        self.optimiser, self.world = optimiser, world
        self.statistics = StepBuffers([learner])
        self._trained: nn.Module = learner

    def passes(self, batches: Iterable[EpisodeBatch], *, own: int, look: bool = False) -> Passed:
        """Gradients of the next ``own`` episodes' mean loss; ``look``: slopes of the first.

        One episode at a time under its own seed: ranks and resume give the same numbers.
        """
        losses, projections = [], []
        for position, batch in enumerate(itertools.islice(batches, own)):
            seed(self.config, batch.episode)
            targets = self.teacher(batch) if self.teacher is not None else None
            with self._synchronised(last=position + 1 == own):
                loss: Losses = self._trained(batch, targets, look=look and position == 0)
                (loss.total / own).backward()
            self.statistics.after_episode()
            losses.append(loss)
            if targets is not None and targets.projections is not None:
                projections.append(targets.projections.mean(dim=0))
            del loss, targets  # their graph is gone, their maps need not stay
        length = optimiser.clip(self.learner, self.config.optimiser.clip)
        numbers = step_metrics(losses, self.learner.weights, world=self.world)
        return Passed(own, numbers, length, losses[0].gradient_norms, projections)

    def update(self, passed: Passed, *, ema: float) -> None:
        """Move the student by its gradients and the teacher by ``ema`` towards it."""
        self.optimiser.step()
        self.statistics.after_step(self.world, episodes=passed.episodes)
        if self.teacher is not None:
            self.teacher.follow(self.learner.student, coefficient=ema)
            if passed.projections:
                mean = torch.stack(passed.projections).mean(dim=0)
                self.teacher.recentre(self.world.mean(mean))
        self.optimiser.zero_grad(set_to_none=True)

    def undo(self) -> None:
        """Forget gradients and statistics of the episodes since the last update."""
        self.statistics.undo()
        self.optimiser.zero_grad(set_to_none=True)

    def rehearse(self, batch: EpisodeBatch) -> float:
        """Seconds of an episode that changes nothing: the second of two, the first warms up.

        Afterwards the ranks exchange gradients. Which weights the loss does not reach is known
        by then: TA2N has some for several shots alone, others belong to a loss that is off.
        """
        began = 0.0
        for _ in range(2):
            began = time.monotonic()
            self.passes([batch], own=1)
            idle = [p for p in self.learner.parameters() if p.requires_grad and p.grad is None]
            self.undo()
            if batch.frames.is_cuda:
                torch.cuda.synchronize()
        seconds = time.monotonic() - began
        if self.world.size > 1:
            device = self.world.device
            self._trained = DistributedDataParallel(
                self.learner,
                device_ids=[device] if device.type == "cuda" else None,
                broadcast_buffers=False,
                find_unused_parameters=bool(self.world.largest(len(idle))),
            )
        return seconds

    def _synchronised(self, *, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients are exchanged between ranks once a step, with its last episode."""
        if isinstance(self._trained, DistributedDataParallel) and not last:
            return self._trained.no_sync()
        return contextlib.nullcontext()


def seed(config: Config, episode: Episode) -> None:
    """Seed dropout: a function of (seed, episode) alone."""
    digest = hashlib.sha256(f"train/{config.training.seed}/{episode.index}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
