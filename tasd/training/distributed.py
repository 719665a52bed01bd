"""Several ranks on one set of episodes, started by torchrun; one rank alone needs nothing."""

import os
import re
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from tasd.device import pick_device
from tasd.errors import UserError

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


def reason(error: Exception) -> str:
    """What a failed collective says, without places in torch's sources."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\[[^]]*\.\w+:\d+\] ", "", first)[:120]
