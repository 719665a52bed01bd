"""``tasd features``: the features of videos, computed once and kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasd.cli.options import (
    CheckpointOption,
    DeviceOption,
    HalfOption,
    NetworkOption,
    PrecisionOption,
    RunOption,
    StoreOption,
    candidate_of_run,
    device_called,
    extraction,
    run_called,
)

if TYPE_CHECKING:
    from tasd.extraction.run import Extraction
    from tasd.features.store import FeatureStore


def features(
    run: RunOption = None,
    split: Annotated[str, typer.Option(help="Split of the videos: test, val or train.")] = "test",
    network: NetworkOption = "both",
    store: StoreOption = None,
    checkpoint: CheckpointOption = None,
    maps: Annotated[
        bool, typer.Option("--maps", help="Keep feature maps, for matchers that read them.")
    ] = False,
    precision: PrecisionOption = None,
    half: HalfOption = False,
    device: DeviceOption = "auto",
    backbone: Annotated[
        str | None,
        typer.Option(help="A pretrained backbone in place of a run; all splits, for training."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of --backbone: imagenet (default), or a file.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Frames of each video, with --backbone; default: 8.")
    ] = None,
    crop: Annotated[
        int | None, typer.Option(help="Side of the crop in pixels, with --backbone; default: 224.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File, with --backbone; default: $TASD_HOME/features/DATASET-BACKBONE.h5."
        ),
    ] = None,
    allow_pretrained_overlap: Annotated[
        bool,
        typer.Option(
            "--allow-pretrained-overlap", help="Accept weights that were trained on test classes."
        ),
    ] = False,
) -> None:
    """Compute the features of each video once and keep them.

    With a run, they are the features that its matcher compares, kept in the run's folder;
    `tasd evaluate` does this by itself. With --backbone, they are pooled frame features for
    `tasd train --features`. The files are HDF5; docs/evaluation.md describes them for other
    programs.
    """
    from dataclasses import replace

    where = device_called(device)
    how = extraction(network, split, None, precision, half, where)
    how = replace(how, maps=maps, allow_overlap=True)  # computed only, not tested
    given: dict[str, Any] = {"weights": weights, "frames": frames, "crop": crop}
    given = {name: value for name, value in given.items() if value is not None}
    if allow_pretrained_overlap:
        given["allow_pretrained_overlap"] = True
    if backbone is None:
        _refuse([*given, *(["out"] if out else [])], "is an option for --backbone")
        candidate = candidate_of_run(run_called(run), how, store=store, checkpoint=checkpoint)
        made = dict(candidate.features)
    else:
        of_run = {"run": run, "checkpoint": checkpoint, "maps": maps}
        _refuse(
            [name for name, value in of_run.items() if value],
            "is an option for runs, not for --backbone",
        )
        made = {backbone: _pooled(backbone, given, how, store, out)}
    for name, file in made.items():
        size = " x ".join(str(side) for side in file.features.shape)
        typer.echo(f"{name}: {size} {file.features.dtype} in {file.path}")


def _refuse(options: list[str], why: str) -> None:
    from tasd.errors import UserError

    if options:
        raise UserError(f"--{options[0].replace('_', '-')} {why}; leave it out")


def _pooled(
    backbone: str,
    given: dict[str, Any],
    how: "Extraction",
    store: Path | None,
    out: Path | None,
) -> "FeatureStore":
    from tasd.extraction.backbone import Pooling, pooled_features
    from tasd.home import home, only_store
    from tasd.store import Store

    if how.precision is not None:
        given = given | {"precision": how.precision}
    pooling = Pooling(backbone, half=how.half, device=how.device, **given)
    with Store(store or only_store()) as opened:
        path = out or home() / "features" / f"{opened.dataset}-{backbone}.h5"
        return pooled_features(opened, path, pooling)
