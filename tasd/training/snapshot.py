"""A copy of a run's tensors in main memory, from which it is saved while training goes on."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tasd.runs.checkpoint import Checkpoint


class Snapshot:
    """Memory for a copy of all tensors of a run, used again by each save.

    The thread that trains calls `begin` and another one `finish`. No weight, moment of the
    optimiser or tensor of the teacher may change in between; a forward and a backward pass may run.
    """

    def __init__(self) -> None:
        self._room: dict[str, Tensor] = {}
        self._left: list[tuple[Tensor, Tensor]] = []
        self._on_gpu: torch.cuda.Event | None = None

    def begin(self, checkpoint: Checkpoint, *, passing: Collection[str]) -> Checkpoint:
        """Return the checkpoint that holds the copies once `finish` has returned.

        passing: the tensors that a forward pass changes, by their names in the file; they are
        copied here. Copies from a GPU are only begun here, before all that it is told later.
        Raises `RuntimeError` where there is no memory.
        """
        tensors = checkpoint.tensors()
        for name, tensor in tensors.items():
            if name not in self._room:
                pinned = tensor.is_cuda  # else the GPU would wait for each copy
                self._room[name] = torch.empty_like(tensor, device="cpu", pin_memory=pinned)
        self._left = []
        for name, tensor in tensors.items():
            if tensor.is_cuda or name in passing:
                self._room[name].copy_(tensor, non_blocking=True)
            else:
                self._left.append((self._room[name], tensor))
        gpu = next((tensor.device for tensor in tensors.values() if tensor.is_cuda), None)
        self._on_gpu = None if gpu is None else torch.cuda.current_stream(gpu).record_event()
        return _holding(checkpoint, self._room)

    def finish(self) -> None:
        """Copy the rest, and wait for the copies from a GPU."""
        for copy, tensor in self._left:
            copy.copy_(tensor)
        self._left = []
        if self._on_gpu is not None:
            self._on_gpu.synchronize()


def _holding(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> Checkpoint:
    """Return the checkpoint with other tensors, given by their names in its file."""

    def part(name: str, state: Mapping[Any, Any]) -> dict[Any, Any]:
        return {key: tensors.get(f"{name}/{key}", value) for key, value in state.items()}

    teacher, optimiser = checkpoint.teacher, checkpoint.optimiser
    if optimiser is not None:
        moments = {i: part(f"optimiser/{i}", of) for i, of in optimiser["state"].items()}
        optimiser = {**optimiser, "state": moments}
    return replace(
        checkpoint,
        learner=part("learner", checkpoint.learner),
        teacher=None if teacher is None else part("teacher", teacher),
        optimiser=optimiser,
    )
