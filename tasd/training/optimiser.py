"""The optimiser, the learning rate of each group of weights, and the clipped gradient."""

import math

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from tasd.config import OptimiserOptions
from tasd.errors import UserError
from tasd.training.learner import Learner


def build(learner: Learner, options: OptimiserOptions, *, pretrained: bool) -> Optimizer:
    """Make the optimiser over four groups: backbone and the rest, with and without weight decay.

    A pretrained backbone learns at ``lr x backbone_scale``, one from scratch at the full rate.
    Norms and biases are not decayed. The schedule scales each group's ``initial_lr``.
    """
    scale = options.backbone_scale if pretrained else 1.0
    backbone = {id(p) for p in learner.student.backbone.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in learner.parameters():
        if parameter.requires_grad:
            rate = options.lr * (scale if id(parameter) in backbone else 1.0)
            decay = options.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    trained = [
        {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
        if rate > 0
    ]
    kinds: dict[str, type[Adam] | type[SGD]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}
    return kinds[options.name](trained, lr=options.lr, foreach=True)


def step(optimiser: Optimizer) -> None:
    """Take a step. Raises `UserError` where the rate is beyond what a float32 holds."""
    try:
        optimiser.step()
    except RuntimeError as error:
        if "without overflow" not in str(error):
            raise
        raise UserError(
            f"the learning rate {rate(optimiser):g} is too large for a step in float32; lower "
            "optimiser.lr"
        ) from None


def set_rate(optimiser: Optimizer, factor: float) -> None:
    """Scale every group's rate by ``factor``, which comes from `tasd.training.schedule`."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def rate(optimiser: Optimizer) -> float:
    """Return the largest learning rate of all groups."""
    return max(float(group["lr"]) for group in optimiser.param_groups)


def clip(learner: Learner, limit: float | None) -> float:
    """Scale the gradient over all weights down to ``limit`` and return its norm before that."""
    parameters = [p for p in learner.parameters() if p.grad is not None]
    return float(nn.utils.clip_grad_norm_(parameters, math.inf if limit is None else limit))
