"""Several ranks on one set of episodes, started by torchrun; one rank alone needs nothing."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tasd.errors import UserError
from tasd.many import copy_all

# A rank that dies ends the others: their next collective fails at once, or after this long.
TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True)
class World:
    """Which rank this is, of how many, and on which device it computes."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Rank 0 writes files and speaks."""
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """The mean over ranks; the value itself where there is one rank."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def largest(self, value: int) -> int:
        """The largest of the ranks' numbers: how they agree on a signal or a failure."""
        if self.size == 1:
            return value
        flag = torch.tensor(value, device=self.device)
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return int(flag)

    def gathered(self, rows: Tensor, *, counts: list[int]) -> Tensor:
        """The ranks' rows one below the other; rank r brings ``counts[r]`` of them."""
        if self.size == 1:
            return rows
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def lost(self, error: RuntimeError) -> bool:
        """Whether ``error`` says that another rank, or the way to it, is gone."""
        told = isinstance(error, dist.DistError) or "gloo" in str(error)
        return self.size > 1 and told

    def close(self) -> None:
        """Leave the group."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def start(device: str) -> World:
    """Join the group that torchrun describes, or be alone. ``device``: auto, cpu, cuda, cuda:N.

    Raises `UserError`.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    chosen = pick_device(device, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if size > 1:
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        try:
            dist.init_process_group(backend, timeout=TIMEOUT)
        except dist.DistError as error:
            raise UserError(
                f"rank {rank} of {size} waited for the others in vain ({reason(error)}); start "
                "all ranks again, with the same MASTER_ADDR and MASTER_PORT"
            ) from None
        except RuntimeError as error:
            if "gloo" not in str(error).lower():
                raise
            raise UserError(
                f"rank {rank} of {size} does not reach the others ({reason(error)}); name the "
                "network that the hosts share, as in GLOO_SOCKET_IFNAME=eth0 (ip addr lists them)"
            ) from None
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    return World(rank, size, chosen)


def pick_device(device: str, *, local_rank: int = 0) -> torch.device:
    """The device that a name means; "auto" is a GPU where there is one. Raises `UserError`."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UserError(f"--device {device}: use auto, cpu, cuda or cuda:N") from None
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise UserError(
                f"--device {device}: no CUDA device is usable here (tasd doctor tells why); use "
                "--device cpu"
            )
        index = local_rank if chosen.index is None else chosen.index
        if index >= torch.cuda.device_count():
            raise UserError(
                f"--device {device}: GPU {index} was asked for, there are "
                f"{torch.cuda.device_count()}"
            )
        return torch.device("cuda", index)
    if chosen.type != "cpu":
        raise UserError(f"--device {device}: use auto, cpu, cuda or cuda:N")
    return chosen


def reason(error: Exception) -> str:
    """What a failed collective says, without places in torch's sources."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\[[^]]*\.\w+:\d+\] ", "", first)[:120]


class StepBuffers:
    """Running statistics that move once per optimiser step, by the mean over its episodes.

    Left alone, live BatchNorm statistics would depend on how a step's episodes are shared out:
    each episode here starts from the step's own statistics, and the moves are averaged.
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
        # How many batches a norm has seen counts optimiser steps here, on any number of ranks.
        self.counters = [n.num_batches_tracked for n in norms if n.num_batches_tracked is not None]
        self.start = [torch.empty_like(buffer) for buffer in self.buffers]
        self.moves = [torch.empty_like(buffer) for buffer in self.buffers]
        self.counts = [torch.empty_like(counter) for counter in self.counters]
        self.begin()

    @torch.no_grad()
    def begin(self) -> None:
        """Remember where the step starts."""
        copy_all(self.start, self.buffers)
        copy_all(self.counts, self.counters)
        if self.moves:
            torch._foreach_zero_(self.moves)

    @torch.no_grad()
    def after_episode(self) -> None:
        """Put this episode's move aside and go back to the start."""
        if self.buffers:
            torch._foreach_add_(self.moves, torch._foreach_sub(self.buffers, self.start))
            copy_all(self.buffers, self.start)

    @torch.no_grad()
    def after_step(self, world: World, *, episodes: int) -> None:
        """Move by the mean over the ``episodes`` that this rank had, and over ranks."""
        if self.buffers:
            moves = [world.mean(move) for move in torch._foreach_div(self.moves, episodes)]
            copy_all(self.buffers, torch._foreach_add(self.start, moves))
        if self.counters:
            copy_all(self.counters, torch._foreach_add(self.counts, 1))
        self.begin()

    @torch.no_grad()
    def undo(self) -> None:
        """Forget the step."""
        copy_all(self.buffers, self.start)
        copy_all(self.counters, self.counts)
        self.begin()
