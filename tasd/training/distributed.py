"""Several ranks that share the episodes of a run, started by torchrun."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tasd.device import pick_device
from tasd.errors import UserError

Shared = TypeVar("Shared")

# When a rank dies, the next collective of the others fails, at the latest after this time.
TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True)
class World:
    """The number of this rank, how many there are, and the device of this one."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """True on rank 0, which writes files and prints."""
        return self.rank == 0

    @property
    def first_on_host(self) -> bool:
        """True on one rank of each host."""
        return self.size == 1 or os.environ.get("LOCAL_RANK", "0") == "0"

    def mean(self, value: Tensor) -> Tensor:
        """Average over ranks; with one rank return the value itself."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def largest(self, value: int) -> int:
        """Return the largest of the ranks' numbers, so that they agree on a signal or a failure."""
        if self.size == 1:
            return value
        flag = torch.tensor(value, device=self.device)
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return int(flag)

    def gathered(self, rows: Tensor, *, counts: list[int]) -> Tensor:
        """Concatenate the ranks' rows; rank r has ``counts[r]`` of them."""
        if self.size == 1:
            return rows
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def from_leader(self, value: Shared) -> Shared:
        """Return the value of rank 0 on every rank."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def agree(self, told: Mapping[str, str]) -> None:
        """Raise `UserError` on every rank where what one was told differs from rank 0's.

        told: the way out, as in "the same --store", to a value that is to be equal.
        """
        if self.size == 1:
            return
        every: list[Any] = [None] * self.size
        dist.all_gather_object(every, (socket.gethostname(), dict(told)))
        host, first = every[0]
        for rank, (other, found) in enumerate(every):
            for what in dict.fromkeys([*first, *found]):  # settings before what follows from them
                if first.get(what) != found.get(what):
                    raise UserError(
                        f"rank {rank} on {other} and rank 0 on {host} differ in {what}: "
                        f"{found.get(what)} and {first.get(what)}; start all ranks alike"
                    )

    def lost(self, error: RuntimeError) -> bool:
        """True where ``error`` means that another rank, or the connection to it, is gone."""
        collective = isinstance(error, dist.DistError) or "gloo" in str(error)
        return self.size > 1 and collective

    def close(self) -> None:
        """Leave the group."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def start(device: str) -> World:
    """Join the group that torchrun describes; without torchrun the group is this process alone.

    device: auto, cpu, cuda or cuda:N.

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
                f"rank {rank} of {size} waited for the other ranks and they did not come "
                f"({reason(error)}); start all ranks again, with the same MASTER_ADDR and "
                "MASTER_PORT"
            ) from None
        except RuntimeError as error:
            if "gloo" not in str(error).lower():
                raise
            raise UserError(
                f"rank {rank} of {size} cannot reach the other ranks ({reason(error)}); name the "
                "network that the hosts share, as in GLOO_SOCKET_IFNAME=eth0 (ip addr lists them)"
            ) from None
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    return World(rank, size, chosen)


def reason(error: Exception) -> str:
    """Return the message of a failed collective without the places in torch's sources."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\[[^]]*\.\w+:\d+\] ", "", first)[:120]
