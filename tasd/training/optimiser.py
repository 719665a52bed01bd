"""The optimiser, the learning rate of each group of weights, and the clipped gradient."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from tasd.backbones import Backbone
from tasd.config import OptimiserOptions
from tasd.errors import UserError
from tasd.training.learner import Learner


def build(learner: Learner, options: OptimiserOptions, *, pretrained: bool) -> Optimizer:
    """Make the optimiser over four groups: backbone and the rest, with and without weight decay.

    A pretrained backbone learns at ``lr x backbone_scale``, one from scratch at the full rate.
    With ``layer_decay`` below 1 that is the rate of its last layer, and each layer before learns
    at ``layer_decay`` times the rate of the next (Clark et al., ELECTRA, ICLR 2020): a group each.
    `Matcher.rate_factors` gives some weights of a matcher another rate. Norms and biases are not
    decayed, nor what `Backbone.undecayed` names. The schedule scales each group's ``initial_lr``.
    """
    scales = _scales(learner.student.backbone, options, pretrained=pretrained)
    spared = learner.student.backbone.undecayed()
    matcher = learner.student.matcher
    for name, factor in matcher.rate_factors().items():
        scales[id(matcher.get_parameter(name))] = factor
    undecayed = {id(p) for n, p in learner.student.backbone.named_parameters() if n in spared}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in learner.parameters():
        if parameter.requires_grad:
            rate = options.lr * scales.get(id(parameter), 1.0)
            decayed = parameter.ndim > 1 and id(parameter) not in undecayed
            decay = options.weight_decay if decayed else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    trained = [
        {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
        if rate > 0
    ]
    at_once = _at_once(next(learner.parameters()).device)
    if options.name == "sgd":
        return SGD(trained, lr=options.lr, momentum=options.momentum, **at_once)
    kinds: dict[str, type[Adam]] = {"adam": Adam, "adamw": AdamW}
    return kinds[options.name](trained, lr=options.lr, **at_once)


def _at_once(device: torch.device) -> dict[str, Any]:
    """Return the option by which a group is moved at once: on a GPU by one kernel, not by a dozen.

    Each of the dozen reads and writes as many bytes as there are weights.
    """
    fused = device.type == "cuda"
    return {"fused": fused or None, "foreach": not fused or None}


def _scales(backbone: Backbone, options: OptimiserOptions, *, pretrained: bool) -> dict[int, float]:
    """Return the factor on the rate of each parameter of the backbone, by its id."""
    scale = options.backbone_scale if pretrained else 1.0
    if options.layer_decay == 1:
        return dict.fromkeys(map(id, backbone.parameters()), scale)
    depths = backbone.depths()
    deepest = max(depths.values())
    return {
        id(parameter): scale * options.layer_decay ** (deepest - depths[name])
        for name, parameter in backbone.named_parameters()
    }


def load(optimiser: Optimizer, state: dict[str, Any]) -> None:
    """Load the state of a checkpoint, which may be of another kind of device."""
    own = [
        {name: group[name] for name in ("fused", "foreach") if name in group}
        for group in optimiser.param_groups
    ]
    groups = [{**saved, **kept} for saved, kept in zip(state["param_groups"], own, strict=True)]
    optimiser.load_state_dict({**state, "param_groups": groups})
    for weight, moments in optimiser.state.items():
        for name, value in moments.items():
            # A file keeps no order of a tensor in memory; one kernel needs that of the weight.
            if value is not None and value.shape == weight.shape:
                moments[name] = torch.empty_like(weight, requires_grad=False).copy_(value)


def step(optimiser: Optimizer) -> None:
    """Take a step. Raises `UserError` where the rate is beyond what a float32 holds."""
    for group in optimiser.param_groups:
        for weight in group["params"] if group.get("fused") else ():
            if weight.grad is not None:
                weight.grad = in_order_of(weight, weight.grad)
    try:
        optimiser.step()
    except RuntimeError as error:
        if "without overflow" not in str(error):
            raise
        raise UserError(
            f"the learning rate {rate(optimiser):g} is too large for a step in float32; lower "
            "optimiser.lr"
        ) from None


def in_order_of(weight: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient with the strides of its weight, which one kernel for both needs.

    Autograd leaves them different where a dimension has one element, as in 1x1 convolutions.
    """
    if gradient.stride() == weight.stride():
        return gradient
    return gradient.as_strided(weight.shape, weight.stride())


def set_rate(optimiser: Optimizer, factor: float) -> None:
    """Scale every group's rate by ``factor``, which comes from `tasd.training.schedule`."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def rate(optimiser: Optimizer) -> float:
    """Return the largest learning rate of all groups."""
    return max(float(group["lr"]) for group in optimiser.param_groups)


def clip(learner: Learner, limit: float | None) -> Float[Tensor, ""]:
    """Scale the gradient over all weights down to ``limit`` and return its norm before that."""
    parameters = [p for p in learner.parameters() if p.grad is not None]
    return nn.utils.clip_grad_norm_(parameters, math.inf if limit is None else limit)
