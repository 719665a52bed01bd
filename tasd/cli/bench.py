"""``tasd bench``: measure this machine beside the usual ways of the field."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasd.cli.checks import check_backbone, check_matcher
from tasd.cli.options import device_called
from tasd.cli.parsing import Command
from tasd.cli.say import say_json
from tasd.errors import Mistakes, UserError

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    name="bench",
    help="Measure this machine beside the usual ways of the field.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Rounds = Annotated[int, typer.Option(min=1, help="Interleaved rounds; medians are printed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command(cls=Command)
def prep(
    root: Annotated[Path, typer.Option(help="Folder of videos to measure with.")],
    clips: Annotated[int, typer.Option(min=1, help="Number of these videos to use.")] = 8,
    videos: Annotated[
        int, typer.Option(min=1, help="Number of videos that tasd prepares in a round.")
    ] = 240,
    rounds: Rounds = 5,
    as_json: Json = False,
) -> None:
    """Compare prep with the usual way, ffmpeg to .jpg files."""
    from tasd.bench.prep import bench_prep, prep_table

    times = bench_prep(root, clips=clips, videos=videos, rounds=rounds)
    _print(asdict(times), prep_table(times), as_json=as_json)


@app.command(cls=Command)
def loader(
    store: Annotated[
        Path | None, typer.Option(help="Folder of the store; default: the only one.")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Root of the store's videos; adds decord to the comparison.")
    ] = None,
    size: Annotated[int, typer.Option(min=32, help="Side of the crop in pixels.")] = 224,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        int, typer.Option(min=1, help="Threads or worker processes of each way.")
    ] = 2,
    rounds: Rounds = 5,
    as_json: Json = False,
) -> None:
    """Compare the loader with Pillow on .jpg files and decord."""
    from tasd.bench.loader import bench_loader, loader_table
    from tasd.home import only_store
    from tasd.loader.encoded import check_crop
    from tasd.store import Store

    device_called(device)
    with Store(store or only_store()) as opened:
        check_crop(opened, size, option="--size")
        times = bench_loader(
            opened,
            videos=videos,
            size=size,
            device=device,
            threads=threads,
            workers=threads,
            rounds=rounds,
        )
    _print(asdict(times), loader_table(times), as_json=as_json)


@app.command(cls=Command)
def step(
    backbone: Annotated[str, typer.Option(help="resnet50, mobilenet_v2 ...")] = "resnet50",
    size: Annotated[int, typer.Option(min=32, help="Side of the crop in pixels.")] = 224,
    way: Annotated[int, typer.Option(min=2, help="Classes of an episode.")] = 5,
    shot: Annotated[int, typer.Option(min=1, help="Support videos of each class.")] = 1,
    queries: Annotated[int, typer.Option(min=1, help="Query videos of each class.")] = 5,
    precision: Annotated[str, typer.Option(help="auto, bf16 or float32.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    rounds: Rounds = 5,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Measure memory with and without checkpointing, not time."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare training steps with and without distillation."""
    from tasd.bench.memory import bench_memory, memory_table
    from tasd.bench.step import Bench, bench_step, step_table

    with Mistakes() as mistakes:
        mistakes.of(device_called, device)
        mistakes.of(check_backbone, backbone, "none", None)
    bench = Bench(backbone, size, way, shot, queries, precision, device, rounds)
    if memory:
        figures = bench_memory(bench)
        rows = [asdict(row) | {"on_a_card": row.on_a_card} for row in figures]
        _print(rows, memory_table(bench, figures), as_json=as_json)
    else:
        times = bench_step(bench)
        _print(asdict(times), step_table(times), as_json=as_json)


@app.command(cls=Command)
def save(
    backbone: Annotated[str, typer.Option(help="resnet50, mobilenet_v2 ...")] = "resnet50",
    size: Annotated[int, typer.Option(min=32, help="Side of the crop in pixels.")] = 224,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    rounds: Rounds = 5,
    as_json: Json = False,
) -> None:
    """Compare a save beside a step with one that it waits for."""
    from tasd.bench.save import bench_save, save_table
    from tasd.bench.step import Bench

    with Mistakes() as mistakes:
        mistakes.of(device_called, device)
        mistakes.of(check_backbone, backbone, "none", None)
    times = bench_save(Bench(backbone, size, queries=1, device=device, rounds=rounds))
    _print(asdict(times), save_table(times), as_json=as_json)


@app.command(cls=Command)
def evaluate(
    episodes: Annotated[int, typer.Option(min=1, help="Number of episodes.")] = 10_000,
    shot: Annotated[int, typer.Option(min=1, help="Support videos of each class.")] = 1,
    queries: Annotated[int, typer.Option(min=1, help="Query videos of each class.")] = 1,
    matcher: Annotated[
        list[str] | None, typer.Option(help="Matcher, may be repeated; default: all.")
    ] = None,
    backbone: Annotated[str, typer.Option(help="Backbone of the network.")] = "resnet50",
    size: Annotated[int, typer.Option(min=32, help="Side of the crop in pixels.")] = 224,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions; medians are printed.")] = 3,
    as_json: Json = False,
) -> None:
    """Compare cached features with the network in every episode."""
    from tasd.bench.evaluate import Bench, bench_evaluate, evaluate_table

    with Mistakes() as mistakes:
        mistakes.of(device_called, device)
        mistakes.of(check_backbone, backbone, "none", None)
        for name in matcher or ():
            mistakes.of(check_matcher, name)
    bench = Bench(
        episodes=episodes,
        shot=shot,
        queries=queries,
        backbone=backbone,
        size=size,
        device=device,
        rounds=rounds,
    )
    times = bench_evaluate(bench, names=matcher or ())
    _print(asdict(times), evaluate_table(times), as_json=as_json)


@app.command(cls=Command)
def growth(
    size: Annotated[
        list[int] | None,
        typer.Option(
            min=100, help="Number of videos and of episodes, to be repeated. [1000 10000 100000]"
        ),
    ] = None,
    rounds: Rounds = 3,
    as_json: Json = False,
) -> None:
    """Show how time and memory grow with videos and episodes."""
    from tasd.bench.growth import bench_growth, growth_table

    sizes = sorted(set(size or (1000, 10_000, 100_000)))
    if len(sizes) < 2:
        raise UserError(f"--size {sizes[0]} is one size; growth needs two or more: repeat --size")
    times = bench_growth(sizes, rounds=rounds)
    _print(asdict(times), growth_table(times), as_json=as_json)


def _print(data: Any, table: "Table", *, as_json: bool) -> None:
    from rich.console import Console

    if as_json:
        say_json(data)
    else:
        Console().print(table)
