"""``tasd demo``: the whole way on generated clips."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="About a minute, weaker result.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of clips and training.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Show the whole way on generated clips; no data needed."""
    from rich.console import Console

    from tasd.demo.run import demo as run_demo

    run_demo(out, quick=quick, seed=seed, device=device, console=Console())
