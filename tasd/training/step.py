"""The bookkeeping of one optimiser step: seeds, running statistics, gradients, metrics.

The science of a step, teacher, learner, backward and update, stands in `tasd.training.loop`.
"""

import contextlib
import hashlib
import itertools
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64
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


@dataclass(frozen=True)
class Figures:
    """The numbers of a step, still on the device: nothing here has made the host wait for it.

    rows: name -> number of its values, in their order: one for each episode of the step.
    values: of all rows. norms: names of the terms and places whose gradient norms follow the rows.
    projection: the teacher's mean projection over the episodes of this rank.
    """

    rows: dict[str, int]
    norms: tuple[tuple[str, str], ...]
    values: Float64[Tensor, " values"]
    projection: Float[Tensor, " out_dim"] | None


def gathered(losses: list[Losses], projections: list[Tensor], gradient: Tensor) -> Figures:
    """Put a step's numbers into one tensor, so that the host waits for the device once."""
    shares = [loss.relation_share for loss in losses if loss.relation_share is not None]
    rows = {
        "loss": [loss.total for loss in losses],
        "accuracy": [loss.accuracy for loss in losses],
        **{f"term {name}": [loss.terms[name] for loss in losses] for name in losses[0].terms},
        **({"relation_share": shares} if shares else {}),
        "gradient": [gradient],
    }
    norms = losses[0].gradient_norms
    values = [v for row in rows.values() for v in row]
    values += [norm for places in norms.values() for norm in places.values()]
    return Figures(
        rows={name: len(row) for name, row in rows.items()},
        norms=tuple((term, place) for term, places in norms.items() for place in places),
        values=torch.stack([value.detach().double() for value in values]),
        projection=torch.stack(projections).mean(dim=0) if projections else None,
    )


def step_metrics(found: Mapping[str, float], weights: Mapping[str, float]) -> StepMetrics:
    """Sort the means of a step by what they are of."""
    raw = {n.removeprefix("term "): v for n, v in found.items() if n.startswith("term ")}
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
        self._replayed: Figures | None = None

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
        self.passed()

    def passed(self) -> None:
        """Give the running statistics back as an episode found them; `update` moves them."""
        self._statistics.after_episode()

    def add(self, losses: Losses, targets: Targets | None) -> None:
        """Keep an episode's losses and the teacher's mean projection for `finish`."""
        self._losses.append(losses)
        if targets is not None and targets.projections is not None:
            self._projections.append(targets.projections.mean(dim=0))

    def figures(self) -> Figures:
        """Clip the gradient and gather the step's numbers, without waiting for the device."""
        gradient = optimiser.clip(self.learner, self.clip)
        found = gathered(self._losses, self._projections, gradient)
        self._losses, self._projections = [], []
        return found

    def replayed(self, figures: Figures) -> None:
        """Take the numbers of passes that were replayed, in place of `episode` and `add`."""
        self._replayed = figures

    def finish(self) -> StepResult:
        """Clip the gradient and average the step's numbers over all ranks."""
        figures = self._replayed or self.figures()
        self._replayed = None
        values = iter(figures.values.tolist())  # the one place where the host waits for the device
        means = {
            name: sum(itertools.islice(values, count)) / count
            for name, count in figures.rows.items()
        }
        gradient = means.pop("gradient")
        norms: dict[str, dict[str, float]] = {}
        for (term, place), norm in zip(figures.norms, values, strict=True):
            norms.setdefault(term, {})[place] = norm
        if self.world.size > 1:
            own = torch.tensor(list(means.values()), dtype=torch.float64, device=self.world.device)
            means = dict(zip(means, self.world.mean(own).tolist(), strict=True))
        metrics = step_metrics(means, self.learner.weights)
        mean = None if figures.projection is None else self.world.mean(figures.projection)
        finite = math.isfinite(gradient) and math.isfinite(metrics.loss)
        everywhere = not self.world.largest(int(not finite))
        return StepResult(metrics, gradient, norms, mean, finite=everywhere)

    def update(self) -> None:
        """Move running statistics by the mean over the step's episodes; forget the gradients."""
        self._statistics.after_step(self.world, episodes=self.own)
        self.learner.zero_grad(set_to_none=True)

    def undo(self) -> None:
        """Forget gradients and running statistics since the last update."""
        self._losses, self._projections, self._replayed = [], [], None
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
