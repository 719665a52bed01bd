"""Networks that a file fills are built without drawing random weights first."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# What fills weights with random numbers; other ways of torch.nn.init call these.
RANDOM = {
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.uniform_,
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
}


class ZeroWeights(TorchFunctionMode):
    """Within it, weights begin as zeros and not at random: for networks that a file fills.

    Random numbers for the weights of ResNet-50 take most of a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, or fill the tensor with zeros in its place."""
        given = kwargs or {}
        if func in RANDOM:
            filled: Tensor = args[0] if args else given["tensor"]
            return filled.detach().zero_()
        return func(*args, **given)
