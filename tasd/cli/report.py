"""``tasd report``: tables and figures of runs."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Runs; default: the newest with a best checkpoint."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder; default: figures/ of the run, or ./report for several."),
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="Class of the attention overlays.")
    ] = None,
    video: Annotated[
        str | None, typer.Option(help="Video of the attention overlays, class/name.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoints to look at; default: the first kept, and the best."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Store of the overlays; default: that of the run.")
    ] = None,
) -> None:
    """Draw tables, training curves and figures of runs.

    Per-class bars and attention overlays are among them, and one page of all. Several runs stand
    side by side; the first one's attention is shown.
    """
    from tasd.report import Look, write_report
    from tasd.runs.folder import newest

    chosen = runs or [newest().path]
    folder = out or (chosen[0] / "figures" if len(chosen) == 1 else Path("report"))
    look = Look(class_name, video, tuple(checkpoint or ()), store)
    written = write_report(chosen, folder, look)
    for note in written.notes:
        typer.echo(note, err=True)
    for path in written.files:
        typer.echo(path)
