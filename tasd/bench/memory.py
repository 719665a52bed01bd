"""The memory of one training step with and without gradient checkpointing.

Each is measured in a process of its own, because the peak of a process never falls.
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

from tasd.bench.rounds import table_of
from tasd.bench.step import Bench, build_step, whole_step
from tasd.errors import UserError
from tasd.files import as_json

GIB = 1 << 30
CARD = 24 * GIB  # of the paper's RTX 4090
CUDA = GIB  # about the memory of CUDA and its libraries themselves


@dataclass(frozen=True)
class MemoryFigures:
    """Memory of one step in bytes.

    libraries: of the process before the networks are built. networks: the weights of both.
    peak: everything, with activations, gradients and the optimiser's state.
    """

    checkpointing: bool
    device: str
    precision: str
    libraries: int
    networks: int
    peak: int

    @property
    def on_a_card(self) -> int:
        """Bytes that a graphics card needs; estimated where a processor was measured."""
        return self.peak if self.device.startswith("cuda") else self.peak - self.libraries + CUDA


def bench_memory(bench: Bench) -> tuple[MemoryFigures, MemoryFigures]:
    """Measure a step without and one with gradient checkpointing. Raises `UserError`."""
    without, with_ = (_in_a_process(bench, checkpointing=on) for on in (False, True))
    return without, with_


def _in_a_process(bench: Bench, *, checkpointing: bool) -> MemoryFigures:
    settings = as_json({"bench": asdict(bench), "checkpointing": checkpointing}, ascii=True)
    words = [sys.executable, "-m", "tasd.bench.memory", settings]
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it wrote no message"])[-1]
        raise UserError(
            f"the step of {bench.backbone} at {bench.size} pixels ended with exit code "
            f"{ended.returncode} ({last[:160]}); where memory ran out, lower --size or --queries"
        )
    return MemoryFigures(**json.loads(ended.stdout.splitlines()[-1]))


def measure(bench: Bench, *, checkpointing: bool) -> MemoryFigures:
    """Measure a step in this process, which must have done nothing else."""
    libraries = _resident()
    parts, batch = build_step(bench.config("tasd", checkpointing=checkpointing), bench.device)
    on_gpu = parts.world.device.type == "cuda"
    networks = torch.cuda.memory_allocated() if on_gpu else _resident() - libraries
    whole_step(parts, batch)
    return MemoryFigures(
        checkpointing=checkpointing,
        device=str(parts.world.device),
        precision=parts.config.training.precision,
        libraries=libraries,
        networks=networks,
        peak=torch.cuda.max_memory_reserved() + CUDA if on_gpu else _most_resident(),
    )


def memory_table(bench: Bench, figures: tuple[MemoryFigures, ...]) -> Table:
    """Lay out the memory as a table."""
    fits = " and ".join(
        f"{row.on_a_card / GIB:.1f} GiB {'with' if row.checkpointing else 'without'}"
        for row in figures
    )
    return table_of(
        f"one step: {bench.backbone} at {bench.size} pixels, {bench.task}, "
        f"{figures[0].precision}, {figures[0].device}",
        f"On a graphics card about {fits} checkpointing, of {CARD // GIB} GiB.",
        {
            "gradient checkpointing": ["on" if row.checkpointing else "off" for row in figures],
            "libraries, GiB": [f"{row.libraries / GIB:.2f}" for row in figures],
            "networks, GiB": [f"{row.networks / GIB:.2f}" for row in figures],
            "peak, GiB": [f"{row.peak / GIB:.2f}" for row in figures],
        },
    )


def _resident() -> int:
    """Return the bytes of main memory that this process uses now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _most_resident() -> int:
    """Return the most bytes of main memory that this process has used.

    getrusage would count the process that started this one too.
    """
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    figures = measure(Bench(**settings["bench"]), checkpointing=settings["checkpointing"])
    print(as_json(asdict(figures), ascii=True))
