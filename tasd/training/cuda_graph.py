"""The calls of CUDA that record work as a graph: nothing else here needs a GPU to be tested."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from tasd.training.waits import NoWaiting

Out = TypeVar("Out")
MORE = 1.2  # a recording's memory, relative to what the passes took before


class OnGpu:
    """Records work on one GPU, all into one pool of memory; so only one replay runs at a time.

    Random numbers are those of torch's generator at the time of a replay: its seed is read then.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream, self._side = (torch.cuda.Stream(device) for _ in range(2))
        self._pool = torch.cuda.graph_pool_handle()
        self._device = device

    def __call__(self, work: Callable[[], Out]) -> Callable[[], Out]:
        """Return what replays ``work`` and returns its results, which are the same tensors always.

        The work is done once before, in the order of the GPU's current stream: it starts the
        libraries, and shows what cannot be recorded before anything is broken by it. Raises
        `RuntimeError`.
        """
        before = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(before)
        try:
            with torch.cuda.stream(self._stream), NoWaiting():
                work()
            gc.collect()
            graph = torch.cuda.CUDAGraph()
            # The loader's threads may call CUDA meanwhile, so that the mode is of this thread.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                results = work()
        finally:
            torch.cuda.set_stream(before)  # which a recording that fails leaves as it was within
        before.wait_stream(self._stream)

        def replay() -> Out:
            graph.replay()
            return results

        return replay

    def beside(self, work: Callable[[], Out], until: nn.Module) -> Out:
        """Do ``work`` beside all that comes before the end of ``until``'s next forward pass.

        Its results may be read from there on.
        """
        self._side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._side):
            results = work()

        def join(*_: object) -> None:
            torch.cuda.current_stream(self._device).wait_stream(self._side)
            hook.remove()

        hook = until.register_forward_hook(join)
        return results

    def short_of_memory(self, weights: int) -> str:
        """Say how much memory is missing for a recording of what was done so far; else "".

        weights: bytes of all weights: the optimiser will take twice as many, a comparison too.
        """
        gc.collect()
        torch.cuda.empty_cache()
        now = torch.cuda.memory_allocated(self._device)
        peak = torch.cuda.max_memory_allocated(self._device)
        needed = int(MORE * (peak - now)) + 4 * weights
        free, _ = torch.cuda.mem_get_info(self._device)
        if needed <= free:
            return ""
        return f"it takes {needed / 2**30:.1f} GiB more and {free / 2**30:.1f} GiB are free"

    def wait(self) -> None:
        """Wait for all work of the GPU."""
        torch.cuda.synchronize(self._device)


def recorder(device: torch.device) -> OnGpu | None:
    """Return what records work on ``device``; None where nothing can."""
    return OnGpu(device) if device.type == "cuda" else None
