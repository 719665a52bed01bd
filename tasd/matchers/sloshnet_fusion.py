"""The spatial half of SloshNet: the maps of several stages, brought to one size and fused."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SKIPPED = 0.01  # an operation of this weight or less is left out
LAST_SHARE = 0.6  # of the last stage's own map in the fused one, at the start


class SpatialModulation(nn.Module):
    """Convolutions that bring the maps of all stages to the size and channels of the last.

    A map that lies n stages before the last takes n steps of ReLU, BatchNorm and a 3 x 3
    convolution of stride 2, in this order.

    level_channels: of the maps, the last stage's last. Each step doubles them, as in a ResNet; the
    last step goes to the last stage's number where that is no power of two away (ours, for
    MobileNetV2 and EfficientNet).
    """

    def __init__(self, level_channels: Sequence[int]) -> None:
        super().__init__()
        *earlier, last = level_channels
        self.paths = nn.ModuleList()
        for place, channels in enumerate(earlier):
            doubled = [channels << step for step in range(len(earlier) - place)]
            widths = zip(doubled, [*doubled[1:], last], strict=True)
            self.paths.append(nn.Sequential(*(_halving(*width) for width in widths)))

    def forward(
        self, levels: Sequence[Float[Tensor, "frames _ _ _"]]
    ) -> list[Float[Tensor, "frames channels height width"]]:
        """Align each map; the last stays as it is."""
        *earlier, last = levels
        return [*(path(maps) for path, maps in zip(self.paths, earlier, strict=True)), last]


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    """ReLU before BatchNorm, as in the published code."""
    conv = nn.Conv2d(inputs, outputs, kernel_size=3, stride=2, padding=1, bias=False)
    return nn.Sequential(nn.ReLU(), nn.BatchNorm2d(inputs), conv)


def mixed(
    before: Float[Tensor, "frames channels height width"],
    new: Float[Tensor, "frames channels height width"],
    alpha: Float[Tensor, " 3"],
) -> Float[Tensor, "frames channels height width"]:
    """Mix three operations on an earlier state a and a new level b by the softmax of ``alpha``.

    GP1 = b + s(b) a, GP2 = a + s(a) b and Sum = a + b, where s is the sigmoid of the mean over the
    map, channel by channel. One of weight 0.01 or less is left out; the others keep their weights.
    """
    weights = alpha.softmax(dim=0)
    first, second, third = (weights * (weights > SKIPPED)).unbind()
    of_before = first * _gate(new) + second + third
    of_new = first + second * _gate(before) + third
    return of_before * before + of_new * new


def _gate(maps: Float[Tensor, "frames channels height width"]) -> Float[Tensor, "..."]:
    return maps.mean(dim=(2, 3), keepdim=True).sigmoid()


class FusionCell(nn.Module):
    """The searched cell: each state mixes all states before it with the next level.

    alphas: one row of weights of operations for each earlier state. beta: weights of the states,
    and of the last level, in the fused map; at the start the last level has 0.6. Both stay soft:
    the published code does not choose one operation either.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.alphas = nn.ParameterList(1e-3 * torch.randn(states, 3) for states in range(1, levels))
        shares = torch.full((levels + 1,), (1 - LAST_SHARE) / levels)
        shares[-1] = LAST_SHARE
        self.beta = nn.Parameter(shares.log())

    def states(
        self, aligned: Sequence[Float[Tensor, "frames channels height width"]]
    ) -> list[Float[Tensor, "frames channels height width"]]:
        """Compute s_1 = X_1 and s_{k+1} = sum over i <= k of mixed(s_i, X_{k+1})."""
        states = [aligned[0]]
        for alpha, new in zip(self.alphas, aligned[1:], strict=True):
            each = [mixed(before, new, row) for before, row in zip(states, alpha, strict=True)]
            states.append(torch.stack(each).sum(dim=0))
        return states

    def forward(
        self, aligned: Sequence[Float[Tensor, "frames channels height width"]]
    ) -> Float[Tensor, "frames channels height width"]:
        """Weigh the states and the last level by the softmax of beta, and add them up."""
        summands = [*self.states(aligned), aligned[-1]]
        shares = functional.softmax(self.beta, dim=0)
        total = shares[0] * summands[0]
        for share, maps in zip(shares[1:], summands[1:], strict=True):
            total = total + share * maps
        return total
