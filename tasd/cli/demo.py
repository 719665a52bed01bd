"""``tasd demo``: the whole pipeline on generated videos."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    real: Annotated[
        bool,
        typer.Option("--real", help="Label real clips that ship with tasd, without training."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Train for about a minute; the result is weaker.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for videos, store, run and report: new, or of this demo.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of videos and training.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Run the whole pipeline on generated videos; no data needed.

    Stopped at any moment, the same command goes on to the same figures.
    """
    from rich.console import Console

    if real:
        from tasd.demo.real import real_demo
        from tasd.errors import UserError

        if given := "--quick" if quick else "--seed" if seed else "":
            raise UserError(f"--real trains nothing, so {given} has no meaning; leave it out")
        real_demo(out, device=device, console=Console())
        return
    from tasd.demo.run import demo as run_demo

    run_demo(out, quick=quick, seed=seed, device=device, console=Console())
