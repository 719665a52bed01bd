"""The numbers of an optimiser step as they are logged."""

from dataclasses import dataclass
from typing import Any

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


def figures(losses: list[Losses], weights: dict[str, float]) -> StepFigures:
    """The figures of a step's episodes on this rank."""
    count = len(losses)
    raw: dict[str, float] = {}
    for loss in losses:
        for name, term in loss.terms.items():
            raw[name] = raw.get(name, 0.0) + float(term.detach()) / count
    shares = [float(loss.relation_share) for loss in losses if loss.relation_share is not None]
    return StepFigures(
        loss=sum(float(loss.total.detach()) for loss in losses) / count,
        accuracy=sum(float(loss.accuracy) for loss in losses) / count,
        terms={name: {"raw": v, "weighted": weights[name] * v} for name, v in raw.items()},
        relation_share=sum(shares) / len(shares) if shares else None,
    )
