"""The memory of one training step with and without gradient checkpointing.

Each is measured in a process of its own, since a process keeps the most that it ever used.
``python -m tasd.bench.memory SETTINGS`` is such a process; SETTINGS is JSON.
"""

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.table import Table

from tasd.bench.step import Bench, built, whole_step
from tasd.errors import UserError

GIB = 1 << 30
CARD = 24 * GIB  # of the paper's RTX 4090
CUDA = GIB  # what CUDA and its libraries take for themselves, about


@dataclass(frozen=True)
class MemoryFigures:
    """Peak bytes of one step. libraries: of the process before the networks were built.

    networks: weights of both, once they were built. peak: with activations, gradients and the
    optimiser's state.
    """

    checkpointing: bool
    device: str
    precision: str
    libraries: int
    networks: int
    peak: int

    @property
    def on_a_card(self) -> int:
        """What a graphics card needs, estimated where it was measured on a processor."""
        return self.peak if self.device.startswith("cuda") else self.peak - self.libraries + CUDA


def bench_memory(bench: Bench) -> tuple[MemoryFigures, MemoryFigures]:
    """One step without and one with gradient checkpointing. Raises `UserError`."""
    without, with_ = (_in_a_process(bench, checkpointing=on) for on in (False, True))
    return without, with_


def _in_a_process(bench: Bench, *, checkpointing: bool) -> MemoryFigures:
    settings = json.dumps({"bench": asdict(bench), "checkpointing": checkpointing})
    words = [sys.executable, "-m", "tasd.bench.memory", settings]
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it was ended from outside"])[-1]
        raise UserError(
            f"the step of {bench.backbone} at {bench.size} pixels ended with exit code "
            f"{ended.returncode} ({last[:160]}); where memory ran out, lower --size or --queries"
        )
    return MemoryFigures(**json.loads(ended.stdout.splitlines()[-1]))


def measured(bench: Bench, *, checkpointing: bool) -> MemoryFigures:
    """The figures of this process, which has done nothing else."""
    libraries = _resident()
    parts, batch = built(bench.config("tasd", checkpointing=checkpointing), bench.device)
    on_gpu = parts.world.device.type == "cuda"
    networks = torch.cuda.memory_allocated() if on_gpu else _resident() - libraries
    whole_step(parts, batch)
    return MemoryFigures(
        checkpointing=checkpointing,
        device=str(parts.world.device),
        precision=parts.config.training.precision,
        libraries=libraries,
        networks=networks,
        peak=torch.cuda.max_memory_reserved() + CUDA
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def memory_table(bench: Bench, figures: tuple[MemoryFigures, ...]) -> Table:
    """The figures for a person to read."""
    fits = " and ".join(
        f"{row.on_a_card / GIB:.1f} GiB {'with' if row.checkpointing else 'without'}"
        for row in figures
    )
    table = Table(
        title=f"one step: {bench.backbone} at {bench.size} pixels, {bench.way}-way "
        f"{bench.shot}-shot, {bench.queries} queries per class, {figures[0].precision}, "
        f"{figures[0].device}",
        caption=f"On a graphics card about {fits} checkpointing, of {CARD // GIB} GiB.",
        caption_justify="left",
        min_width=80,
    )
    table.add_column("gradient checkpointing")
    for heading in ("libraries, GiB", "networks, GiB", "peak, GiB"):
        table.add_column(heading, justify="right")
    for row in figures:
        sizes = (f"{size / GIB:.2f}" for size in (row.libraries, row.networks, row.peak))
        table.add_row("on" if row.checkpointing else "off", *sizes)
    return table


def _resident() -> int:
    """Bytes of main memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    said = measured(Bench(**asked["bench"]), checkpointing=asked["checkpointing"])
    print(json.dumps(asdict(said)))
