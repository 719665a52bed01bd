"""``tasd export``: a trained network in two files, to be used elsewhere."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="A run; default: the newest with a best checkpoint."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default: export/ in the run.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="The store it was trained on, where it is not found.")
    ] = None,
    reject: Annotated[
        bool, typer.Option(help="Find thresholds for tasd predict --reject first.")
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Write a trained network as safetensors and a config.

    For tasd predict, anywhere. Only what labels clips is in it: backbone, temporal encoder and
    matcher of the better network.
    """
    from tasd.device import pick_device
    from tasd.predict.export import write_export
    from tasd.predict.reject import threshold_for
    from tasd.predict.trained import of_run, ready
    from tasd.runs.folder import Run, newest

    source = newest() if run is None else Run(run)
    trained = ready(of_run(source, store=store), str(pick_device(device)))
    if reject:
        way, own = trained.config.episode.way, trained.config.episode.shot
        for shot in sorted({1, own, 5}):
            trained, _ = threshold_for(trained, way=way, shot=shot, store=store)
        for threshold in trained.thresholds:
            typer.echo(threshold.told, err=True)
    for path in write_export(trained, out or trained.path / "export"):
        typer.echo(f"{path}  {path.stat().st_size / 1000:,.0f} kB")
