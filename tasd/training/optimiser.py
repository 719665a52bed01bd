"""Which weights learn at which rate."""

import math

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from tasd.config import Config
from tasd.training.learner import Learner


def build(learner: Learner, config: Config) -> Optimizer:
    """The optimiser over four groups: backbone and the rest, with and without weight decay.

    A pretrained backbone learns at ``lr x backbone_scale``, one from scratch at the full rate;
    norms and biases are not decayed. Each group's ``initial_lr`` is what the schedule scales.
    """
    options = config.optimiser
    scale = options.backbone_scale if config.network.weights != "none" else 1.0
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


def set_rate(optimiser: Optimizer, factor: float) -> None:
    """Scale every group's rate; ``factor`` comes from `tasd.training.schedule`."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def clip(learner: Learner, limit: float | None) -> float:
    """The norm of the gradient over all weights, which is then scaled down to ``limit``."""
    parameters = [p for p in learner.parameters() if p.grad is not None]
    return float(nn.utils.clip_grad_norm_(parameters, math.inf if limit is None else limit))
