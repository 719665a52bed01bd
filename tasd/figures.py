"""The numbers of an optimiser step as they are logged."""

import itertools
from dataclasses import dataclass
from typing import Any

import torch

from tasd.distributed import World
from tasd.types import Losses


@dataclass(frozen=True)
class StepFigures:
    """Means over the episodes of a step, with no graph behind them.

    terms: name -> raw and weighted value. relation_share: ||phi(A) - A|| / ||A||.
    """

    loss: float
    accuracy: float
    terms: dict[str, dict[str, float]]
    relation_share: float | None

    @property
    def record(self) -> dict[str, Any]:
        """What a line of metrics.jsonl holds of them."""
        line: dict[str, Any] = {"loss": self.loss, "accuracy": self.accuracy, "terms": self.terms}
        if self.relation_share is not None:
            line["relation_share"] = self.relation_share
        return line


def figures(losses: list[Losses], weights: dict[str, float], *, world: World) -> StepFigures:
    """The figures of a step, over the episodes of all ranks."""
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
    return StepFigures(
        loss=found["loss"],
        accuracy=found["accuracy"],
        terms={name: {"raw": v, "weighted": weights[name] * v} for name, v in raw.items()},
        relation_share=found.get("relation_share"),
    )
