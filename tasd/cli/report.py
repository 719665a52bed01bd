"""``tasd report``: tables and figures of runs."""

from pathlib import Path
from typing import Annotated

import typer

from tasd.cli.say import say, waiting


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN...", help="Run folders; default: the newest run with a best checkpoint."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; default: RUN/figures, or ./report for several."),
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="Class that the attention overlays show.")
    ] = None,
    video: Annotated[
        str | None, typer.Option(help="Video that the attention overlays show, as class/name.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="Checkpoint for the overlays; repeatable; default: the first kept and the best."
        ),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Store of the frames; default: the store of the run.")
    ] = None,
) -> None:
    """Draw tables, training curves and figures of runs.

    The figures include bars for each class and attention overlays. report.html holds all of it, and
    confusions, embeddings and the hardest episodes. Several runs are compared; the overlays are of
    the first one.
    """
    from tasd.report import OverlayOptions, write_report
    from tasd.runs.folder import newest

    chosen = runs or [newest().path]
    folder = out or (chosen[0] / "figures" if len(chosen) == 1 else Path("report"))
    options = OverlayOptions(class_name, video, tuple(checkpoint or ()), store)
    with waiting("drawing tables, curves, attention, embeddings and episodes"):
        written = write_report(chosen, folder, options)
    for note in written.notes:
        say(note, err=True)
    for path in written.files:
        say(path)
