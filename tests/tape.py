"""A stand-in for CUDA graphs on a CPU: every operation is written down and done again by itself.

As with a graph, no Python runs in a replay: numbers of the host are those of the recording, results
land in the same memory, and random numbers come from torch's generator as it is then.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tasd.training.waits import NoWaiting


class Tape(TorchDispatchMode):
    """The operations within, with their tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, results))
        return results

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, results in self.operations:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class TapeRecorder:
    """What `tasd.training.cuda_graph.OnGpu` does, on a CPU.

    recorded, replays: how often each was called. short: what is said of missing memory.
    """

    def __init__(self, *, short: str = "") -> None:
        self.recorded = self.replays = 0
        self.short = short

    def __call__(self, work):
        with NoWaiting():
            work()
        with Tape() as tape:
            results = work()
        self.recorded += 1

        def replay():
            self.replays += 1
            tape.replay()
            return results

        return replay

    def beside(self, work: Callable[[], object], until: nn.Module):
        return work()

    def short_of_memory(self, weights: int) -> str:
        return self.short

    def wait(self) -> None:
        pass
