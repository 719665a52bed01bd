"""``tasd prep``: videos in, a store out."""

import enum
from pathlib import Path
from typing import Annotated

import typer


class ResizeChoice(enum.StrEnum):
    """How pictures are made smaller."""

    square = "square"
    short_side = "short-side"


def prep(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="kinetics|ucf101|hmdb51|folder", help="Which one; folder: your own clips."
        ),
    ],
    root: Annotated[Path, typer.Option(help="Folder of the videos.")],
    store: Annotated[
        Path | None, typer.Option(help="Where to write; default: $TASD_HOME/stores/DATASET.")
    ] = None,
    list_: Annotated[
        list[Path] | None,
        typer.Option("--list", help="List of videos, may be given again; kinetics: CMN's."),
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Frames a video, evenly spaced, or 'all'; default: 32.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames a second, in place of --frames.")
    ] = None,
    resize: Annotated[
        ResizeChoice, typer.Option(help="Squeeze to a square, or keep the shape.")
    ] = ResizeChoice.square,
    size: Annotated[int, typer.Option(help="Side of the square, or the shorter side.")] = 256,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: one for each processor.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler, address or file, in place of --workers.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, help="Most that one video may take, and 10 for each MiB of it.")
    ] = 60,
    memory_mib: Annotated[int, typer.Option(min=64, help="Most memory of one ffmpeg.")] = 2048,
    strict: Annotated[bool, typer.Option("--strict", help="Any loss is exit code 1.")] = False,
    shard_mib: Annotated[int, typer.Option(min=1, help="About how large a shard becomes.")] = 256,
    train_classes: Annotated[
        int | None, typer.Option(min=0, help="folder: classes to train.")
    ] = None,
    val_classes: Annotated[
        int | None, typer.Option(min=0, help="folder: classes to validate.")
    ] = None,
    test_classes: Annotated[
        int | None, typer.Option(min=0, help="folder: classes to test.")
    ] = None,
    split_file: Annotated[
        Path | None, typer.Option(help="folder: a JSON file or folder with your own split.")
    ] = None,
    split_seed: Annotated[int, typer.Option(help="folder: seed of the split by class.")] = 0,
    ffmpeg: Annotated[
        str | None, typer.Option(help="Another ffmpeg, version 6.1 or later.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report, for scripts.")] = False,
) -> None:
    """Decode each video of a data set once; report every loss."""
    import json

    from prep.clip import frame_settings
    from prep.cluster import processors
    from prep.ffmpeg_process import find_ffmpeg
    from prep.limits import Limits
    from prep.prepare import prepare
    from prep.progress import ProgressBar
    from prep.shard import PrepSettings
    from prep.sources import find_sources, split_rule
    from prep.table import print_report
    from tasd.datasets import DATASETS
    from tasd.home import default_store
    from tasd.registry import pick

    kind = pick(DATASETS, dataset, what="data set")
    settings = frame_settings(frames=frames, fps=fps, resize=resize.value, size=size)
    counts = {"train": train_classes, "val": val_classes, "test": test_classes}
    deal = split_rule(kind, counts=counts, file=split_file, seed=split_seed)
    recipe = PrepSettings(
        root=root.absolute(),
        store=(store or default_store(dataset)).absolute(),
        dataset=dataset,
        settings=settings,
        tool=find_ffmpeg(ffmpeg),
        limits=Limits(seconds=seconds, memory_mib=memory_mib),
    )
    with ProgressBar() as watch:
        wanted = find_sources(kind, root, list_ or [], deal=deal, say=watch.say)
        report = prepare(
            wanted,
            recipe,
            watch,
            workers=workers or processors(),
            scheduler=scheduler,
            shard_mib=shard_mib,
        )
    if as_json:
        typer.echo(json.dumps({"store": str(recipe.store), **report.as_json()}, indent=1))
    else:
        print_report(report, recipe.store)
    if strict and report.losses:
        raise typer.Exit(1)
