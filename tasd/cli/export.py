"""``tasd export``: a trained network in two files, for use elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from tasd.cli.say import say


def export(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="A run; default: the newest with a best checkpoint."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder of the export; default: export/ in the run.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="The run's store, where it is not under $TASD_HOME.")
    ] = None,
    reject: Annotated[
        bool, typer.Option(help="Include thresholds for tasd predict --reject.")
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Write a trained network as safetensors and a config.

    tasd predict reads them on any machine. They hold only what labels clips: backbone, temporal
    encoder and matcher of the better network.
    """
    from tasd.device import pick_device
    from tasd.predict.export import write_export
    from tasd.predict.reject import threshold_for
    from tasd.predict.trained import on_device, trained_network
    from tasd.runs.folder import Run, newest

    source = newest() if run is None else Run(run)
    trained = on_device(trained_network(source, store=store), pick_device(device))
    if reject:
        episode = trained.config.episode
        for shot in sorted({1, episode.shot, 5}):
            trained, _ = threshold_for(trained, way=episode.way, shot=shot, store=store)
        for threshold in trained.thresholds:
            say(threshold.summary, err=True)
    for path in write_export(trained, out or trained.path / "export"):
        say(f"{path}  {path.stat().st_size / 1000:,.0f} kB")
