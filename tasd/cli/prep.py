"""``tasd prep``: decode the videos of a data set into a store."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from tasd.cli.say import say_json
from tasd.errors import Mistakes


class ResizeChoice(enum.StrEnum):
    """Choices of ``--resize``."""

    square = "square"
    short_side = "short-side"


def prep(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="kinetics|ucf101|hmdb51|ssv2|folder",
            help="The data set; folder: your own clips.",
        ),
    ],
    root: Annotated[Path, typer.Option(help="Folder of the videos or archives; or an archive.")],
    store: Annotated[
        Path | None, typer.Option(help="Folder to write; default: $TASD_HOME/stores/DATASET.")
    ] = None,
    list_: Annotated[
        list[Path] | None,
        typer.Option(
            "--list", help="File that lists the videos; may be repeated. kinetics: CMN's lists."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Names of labels that are numbers in lists. Default: a file beside it."),
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Evenly spaced frames per video, or 'all'; default: 32.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second, in place of --frames.")
    ] = None,
    resize: Annotated[
        ResizeChoice, typer.Option(help="Squeeze frames to a square, or keep their shape.")
    ] = ResizeChoice.square,
    size: Annotated[
        int, typer.Option(help="Side of the square, or the shorter side, in pixels.")
    ] = 256,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; default: one for each processor.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address or file of a Dask scheduler, in place of --workers.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, help="Time limit of one video; 10 more for each MiB of it.")
    ] = 60,
    memory_mib: Annotated[int, typer.Option(min=64, help="Memory limit of one ffmpeg.")] = 2048,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with code 1 where a video is lost or a file left out."),
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links that lead out of the root.")
    ] = False,
    shard_mib: Annotated[int, typer.Option(min=1, help="Largest size of a shard, about.")] = 256,
    train_classes: Annotated[
        int | None, typer.Option(min=0, help="folder: number of classes to train.")
    ] = None,
    val_classes: Annotated[
        int | None, typer.Option(min=0, help="folder: number of classes to validate.")
    ] = None,
    test_classes: Annotated[
        int | None, typer.Option(min=0, help="folder: number of classes to test.")
    ] = None,
    split_file: Annotated[
        Path | None, typer.Option(help="folder: a JSON file or folder with your own split.")
    ] = None,
    split_seed: Annotated[int, typer.Option(help="folder: seed of the random split.")] = 0,
    ffmpeg: Annotated[
        str | None, typer.Option(help="The ffmpeg program to use, version 6.1 or later.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Decode a few videos, print classes, hours and disk, and write nothing.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Decode each video of a data set once; report every lost video."""
    from prep.archives.find import root_folder
    from prep.clip import frame_settings
    from prep.cluster import processors
    from prep.ffmpeg_process import find_ffmpeg
    from prep.limits import Limits
    from prep.prepare import prepare
    from prep.progress import ProgressBar
    from prep.shard import PrepSettings
    from prep.sources import check_places, find_sources, make_split_rule
    from prep.table import print_report
    from tasd.datasets import DATASETS
    from tasd.home import default_store
    from tasd.registry import pick

    counts = {"train": train_classes, "val": val_classes, "test": test_classes}
    with Mistakes() as mistakes:
        kind = mistakes.of(pick, DATASETS, dataset, what="data set")
        chosen = mistakes.of(frame_settings, frames=frames, fps=fps, resize=resize.value, size=size)
        tool = mistakes.of(find_ffmpeg, ffmpeg)
        mistakes.of(check_places, root, [*(list_ or []), *filter(None, [labels, split_file])])
        if kind is not None:
            rule = mistakes.of(
                make_split_rule, kind, counts=counts, file=split_file, seed=split_seed
            )
    assert kind is not None
    assert chosen is not None
    assert tool is not None
    settings = PrepSettings(
        root=root_folder(root).absolute(),
        store=(store or default_store(dataset)).absolute(),
        dataset=dataset,
        frame_settings=chosen,
        tool=tool,
        limits=Limits(seconds=seconds, memory_mib=memory_mib),
    )
    with ProgressBar() as bar:
        sources = find_sources(
            kind,
            root,
            list_ or [],
            split_rule=rule,
            say=bar.say,
            follow_links=follow_links,
            labels=labels,
        )
        if dry_run:
            from tasd.cli.prep_dry_run import say_rehearsal

            say_rehearsal(sources, settings, workers=workers or processors(), as_json=as_json)
            return
        report = prepare(
            sources,
            settings,
            on_start=bar.begin,
            on_progress=bar.advance,
            say=bar.say,
            workers=workers or processors(),
            scheduler=scheduler,
            shard_mib=shard_mib,
        )
    if as_json:
        say_json({"store": str(settings.store), **report.as_json()}, indent=1)
    else:
        print_report(report, settings.store)
    if strict and report.losses:
        raise typer.Exit(1)
