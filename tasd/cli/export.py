"""``tasd export``: a trained network in a few files, for use elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasd.cli.say import say

if TYPE_CHECKING:
    from tasd.predict.trained import TrainedNetwork


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
    licence: Annotated[
        str,
        typer.Option(
            "--license", "--licence", help="Licence of the network in its card: mit, cc-by-4.0 ..."
        ),
    ] = "unknown",
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="Also write backbone and encoder as ONNX, checked by torch."),
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(metavar="REPO", help="Push the export to this repository of Hugging Face."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="With --push: make a new repository private.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Write a trained network, its settings and a model card.

    tasd predict reads them on any machine. They hold only what labels clips: backbone, temporal
    encoder and matcher of the better network. RUN may be an export already, for --push and --onnx.
    """
    from tasd.cli.options import refuse
    from tasd.predict.card import refuse_others, write_card
    from tasd.predict.export import is_export, refuse_export, write_export
    from tasd.predict.hub import check_repo
    from tasd.predict.hub import push as push_export
    from tasd.predict.onnx import check_packages

    # All that a person can get wrong is told before thresholds are computed.
    if push is not None:
        check_repo(push)
    elif private:
        refuse(["private"], "is an option for --push")
    if onnx:
        check_packages()
    if run is not None and is_export(run):
        folder = _known(run, {"out": out, "store": store}, change=onnx or push is not None)
        trained = _opened(run, None, device) if onnx else None
    else:
        trained = _opened(run, store, device)
        folder = out or trained.path / "export"
        refuse_export(folder)
        refuse_others(folder)
        if reject:
            trained = _with_thresholds(trained, store)
        card = write_card(trained, folder, licence=licence)  # config.json makes it complete
        written = [*write_export(trained, folder), card]
        for path in written:
            say(f"{path}  {path.stat().st_size / 1000:,.0f} kB")
    if trained is not None and onnx:
        _write_onnx(trained, folder)
    if push is not None:
        say(f"pushed: {push_export(folder, push, private=private)}")


def _opened(run: Path | None, store: Path | None, device: str) -> "TrainedNetwork":
    from tasd.device import pick_device
    from tasd.predict.choice import open_trained
    from tasd.predict.trained import on_device

    return on_device(open_trained(run, store=store), pick_device(device))


def _known(folder: Path, options: dict[str, object], *, change: bool) -> Path:
    """Return the folder of an export that is there; refuse options that it cannot follow."""
    from tasd.cli.options import refuse
    from tasd.errors import UserError

    refuse([name for name, value in options.items() if value], f"has no effect: {folder} is one")
    if not change:
        raise UserError(f"{folder} is an export already; push it with --push REPO, or add --onnx")
    return folder


def _with_thresholds(trained: "TrainedNetwork", store: Path | None) -> "TrainedNetwork":
    from tasd.predict.reject import threshold_for

    episode = trained.config.episode
    for shot in sorted({1, episode.shot, 5}):
        trained, _ = threshold_for(trained, way=episode.way, shot=shot, store=store)
    for threshold in trained.thresholds:
        say(threshold.summary, err=True)
    return trained


def _write_onnx(trained: "TrainedNetwork", folder: Path) -> None:
    from tasd.predict.onnx import write_onnx

    checked = write_onnx(trained, folder)
    say(f"{checked.path}  {checked.path.stat().st_size / 1000:,.0f} kB")
    say(checked.summary, err=True)
