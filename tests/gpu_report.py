"""The two parts of ``tests/gpu_step.sh`` in Python: the store that it trains on, and its table.

``python -m tests.gpu_report store PATH --size 224`` writes a store of coloured noise at the size
that training crops from. ``python -m tests.gpu_report report FOLDER`` prints what the parts of the
script left in FOLDER as Markdown; a part that is missing or failed is named.
"""

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tasd import __version__
from tests.stores import write_store

FRAMES = 8  # of a clip


def store_side(crop: int) -> int:
    """The side at which a store is prepared for a crop: 256 for 224."""
    return crop + crop // 7


def report(folder: Path) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "# A training step on this machine"
    yield ""
    machine = _text(folder, "machine")
    yield f"- {machine or 'no GPU'}"
    versions = [f"torch {torch.__version__}", f"CUDA {torch.version.cuda}"]
    yield f"- tasd {__version__}, {', '.join(versions)}, cuDNN {torch.backends.cudnn.version()}"
    yield from (f"- {line}" for line in _parts(folder))
    tests = _text(folder, "tests")
    if tests:
        yield f"- tests on the GPU: {tests.splitlines()[-1].strip('= ')}"
    for name, lines in (("step", _step), ("memory", _memory), ("evaluate", _evaluate)):
        content = _text(folder, name)
        if content:
            yield ""
            yield from lines(json.loads(content))
    yield from _training(folder / "run" / "metrics.jsonl", _text(folder, "train"), _seconds(folder))


def _text(folder: Path, name: str) -> str:
    path = folder / f"{name}.txt"
    return path.read_text().strip() if path.exists() else ""


def _rows(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "parts.txt").read_text().splitlines()]


def _parts(folder: Path) -> Iterator[str]:
    whole = [f"{name} {seconds} s" for name, seconds, code in _rows(folder) if code == "0"]
    yield f"seconds of each part: {', '.join(whole)}"
    for name, seconds, code in _rows(folder):
        if code != "0":
            yield f"**{name}** did not end well after {seconds} s: {code}"


def _seconds(folder: Path) -> dict[str, int]:
    return {name: int(seconds) for name, seconds, code in _rows(folder) if code == "0"}


def _step(times: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{times['backbone']} at {times['size']} pixels, {times['task']}, {times['precision']}, "
        f"medians of {times['rounds']} interleaved rounds. {times['recorded']}"
    )
    yield ""
    yield "| step | ms | relative |"
    yield "|---|---|---|"
    for way in times["ways"]:
        yield f"| {way['way']} | {1000 * way['seconds']:.1f} | {way['relative']:.3f}x |"


def _memory(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| gradient checkpointing | networks, GiB | peak, GiB |"
    yield "|---|---|---|"
    for row in rows:
        kind = "on" if row["checkpointing"] else "off"
        yield f"| {kind} | {row['networks'] / 2**30:.2f} | {row['peak'] / 2**30:.2f} |"


def _evaluate(times: dict[str, Any]) -> Iterator[str]:
    frames = FRAMES / times["per_video"]
    yield f"Extraction: {frames:,.0f} frames/s ({times['precision']}, decoding not counted)."
    yield ""
    yield f"| matcher, {times['task']} | episodes/s | prepare, ms a video |"
    yield "|---|---|---|"
    for row in times["matchers"]:
        prepare = 1000 * row["prepare"]
        yield f"| {row['matcher']} | {row['episodes_per_second']:,.0f} | {prepare:.2f} |"


def _training(path: Path, said: str, seconds: dict[str, int]) -> Iterator[str]:
    """Yield what the run's own log tells; nothing where there is none."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    steps = [line for line in lines if line["kind"] == "train"]
    if not steps:
        return
    many = sum(line["kind"] == "validation" for line in lines)
    whole = f"{seconds['train']} s from call to end" if "train" in seconds else "it did not end"
    yield ""
    yield (
        f"Training: {len(steps):,} episodes with {many} validations, {whole}; a step took "
        f"{1000 * statistics.median(line['seconds'] for line in steps):.0f} ms in the median, "
        f"{steps[-1]['wait_share']:.1%} of the time waiting for the loader."
    )
    recorded = [line for line in said.splitlines() if "CUDA graph" in line]
    yield from (f"It said: {line.strip()}." for line in recorded)


def main() -> None:
    """Do what the command line says."""
    kind, path, *rest = sys.argv[1:]
    if kind == "store":
        write_store(Path(path), videos=12, frames=16, side=store_side(int(rest[1])))
    else:
        print("\n".join(report(Path(path))))


if __name__ == "__main__":
    main()
