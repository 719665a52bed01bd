"""BatchNorm's running statistics, moved once per optimiser step."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tasd.training.distributed import World


def copy_all(targets: Iterable[Tensor], sources: Iterable[Tensor]) -> None:
    """Copy each source into its target, in one kernel for each dtype; all are on one device."""
    alike: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
    for target, source in zip(targets, sources, strict=True):
        own, other = alike[target.dtype]
        own.append(target)
        other.append(source)
    for own, other in alike.values():
        torch._foreach_copy_(own, other)


class StepBuffers:
    """Running statistics that move once per optimiser step, by the mean over its episodes.

    Otherwise live BatchNorm statistics would depend on how a step's episodes are shared among
    ranks. Here each episode starts from the statistics before the step, and the changes are
    averaged.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        norms = [
            norm
            for module in modules
            for norm in module.modules()
            if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training
        ]
        self.buffers = [
            buffer
            for norm in norms
            for buffer in (norm.running_mean, norm.running_var)
            if buffer is not None
        ]
        # num_batches_tracked counts optimiser steps here, on any number of ranks.
        self.counters = [n.num_batches_tracked for n in norms if n.num_batches_tracked is not None]
        self.start = [torch.empty_like(buffer) for buffer in self.buffers]
        self.moves = [torch.empty_like(buffer) for buffer in self.buffers]
        self.counts = [torch.empty_like(counter) for counter in self.counters]
        self.begin()

    @torch.no_grad()
    def begin(self) -> None:
        """Copy the statistics before a step."""
        copy_all(self.start, self.buffers)
        copy_all(self.counts, self.counters)
        if self.moves:
            torch._foreach_zero_(self.moves)

    @torch.no_grad()
    def after_episode(self) -> None:
        """Add this episode's change to the sum and restore the statistics before the step."""
        if self.buffers:
            torch._foreach_add_(self.moves, torch._foreach_sub(self.buffers, self.start))
            copy_all(self.buffers, self.start)

    @torch.no_grad()
    def after_step(self, world: World, *, episodes: int) -> None:
        """Apply the mean change over this rank's ``episodes``, and over ranks."""
        if self.buffers:
            moves = [world.mean(move) for move in torch._foreach_div(self.moves, episodes)]
            copy_all(self.buffers, torch._foreach_add(self.start, moves))
        if self.counters:
            copy_all(self.counters, torch._foreach_add(self.counts, 1))
        self.begin()

    @torch.no_grad()
    def undo(self) -> None:
        """Restore the statistics before the step."""
        copy_all(self.buffers, self.start)
        copy_all(self.counters, self.counts)
        self.begin()
