"""``tasd features``: the features of videos, computed once and kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasd.cli.checks import check_backbone
from tasd.cli.options import (
    CheckpointOption,
    CropOption,
    DeviceOption,
    FramesOption,
    HalfOption,
    NetworkOption,
    PrecisionOption,
    PretrainedOverlapOption,
    RunOption,
    StoreOption,
    WeightsOption,
    backbone_options,
    candidate_of_run,
    device_called,
    extraction,
    pooling,
    refuse,
    run_called,
)
from tasd.cli.say import say
from tasd.errors import Mistakes

if TYPE_CHECKING:
    from tasd.extraction.run import Extraction
    from tasd.features.store import FeatureStore


def features(
    run: RunOption = None,
    split: Annotated[
        str, typer.Option(help="Split of the videos: test, val or train, or all.")
    ] = "test",
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
    weights: WeightsOption = None,
    frames: FramesOption = None,
    crop: CropOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File, with --backbone; default: $TASD_HOME/features/DATASET-BACKBONE.h5."
        ),
    ] = None,
    allow_pretrained_overlap: PretrainedOverlapOption = False,
    seal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Compute nothing: put a digest before a feature file of another program, so that "
            "damage to it is noticed.",
        ),
    ] = None,
) -> None:
    """Compute the features of each video once and keep them.

    With a run, they are the features that its matcher compares, kept in the run's folder;
    `tasd evaluate` does this by itself. With --backbone, they are pooled frame features for
    `tasd train --features`. The files are HDF5; docs/evaluation.md describes them for other
    programs.
    """
    from dataclasses import replace

    if seal is not None:
        of_others = {"run": run, "store": store, "checkpoint": checkpoint, "backbone": backbone}
        switches = {"maps": maps, "half": half, "out": out is not None}
        refuse(
            [n for n, value in (*of_others.items(), *switches.items()) if value],
            "computes features, and --seal computes none",
        )
        _seal(seal)
        return
    given = backbone_options(weights, frames, crop, allow_pretrained_overlap)
    of_run = {"run": run, "checkpoint": checkpoint, "maps": maps}
    with Mistakes() as mistakes:
        where = mistakes.of(device_called, device) or "cpu"
        found = mistakes.of(extraction, network, split, None, precision, half, where)
        if backbone is None:
            options = [*given, *(["out"] if out else [])]
            mistakes.of(refuse, options, "is an option for --backbone")
            called = mistakes.of(run_called, run)
        else:
            options = [name for name, value in of_run.items() if value]
            mistakes.of(refuse, options, "is an option for runs, not for --backbone")
            mistakes.of(check_backbone, backbone, weights, None)
    assert found is not None
    how = replace(found, maps=maps, allow_overlap=True)  # computed only, not tested
    if backbone is None:
        assert called is not None
        candidate = candidate_of_run(called, how, store=store, checkpoint=checkpoint)
        made = dict(candidate.features)
    else:
        made = {backbone: _pooled(backbone, given, how, store, out)}
    for name, file in made.items():
        size = " x ".join(str(side) for side in file.features.shape)
        say(f"{name}: {size} {file.features.dtype} in {file.path}")


def _seal(path: Path) -> None:
    from tasd.features.writer import seal_features

    added = seal_features(path)
    say(f"{path}: {'sealed; every reader of HDF5 reads it as before' if added else 'is sealed'}")


def _pooled(
    backbone: str,
    given: dict[str, Any],
    how: "Extraction",
    store: Path | None,
    out: Path | None,
) -> "FeatureStore":
    from tasd.extraction.backbone import pooled_features
    from tasd.foreign import path_part
    from tasd.home import home, only_store
    from tasd.store import Store

    with Store(store or only_store()) as opened:
        path = out or home() / "features" / f"{path_part(opened.dataset)}-{path_part(backbone)}.h5"
        return pooled_features(opened, path, pooling(backbone, given, how))
