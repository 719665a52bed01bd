"""``tasd bench``: this machine, side by side with the usual ways, in one run."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="bench",
    help="Measure this machine beside the usual ways.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


@app.command()
def prep(
    root: Annotated[Path, typer.Option(help="Folder of videos to measure with.")],
    clips: Annotated[int, typer.Option(help="How many of them.")] = 8,
    videos: Annotated[int, typer.Option(help="How many videos tasd prepares a round.")] = 240,
    rounds: Annotated[int, typer.Option(help="Interleaved rounds; medians are told.")] = 5,
    as_json: Json = False,
) -> None:
    """Prep beside ffmpeg to .jpg files, the usual way."""
    from dataclasses import asdict

    from rich.console import Console

    from tasd.bench.prep import bench_prep, prep_table

    figures = bench_prep(root, clips=clips, videos=videos, rounds=rounds)
    if as_json:
        typer.echo(json.dumps(asdict(figures)))
    else:
        Console().print(prep_table(figures))


@app.command()
def loader(
    store: Annotated[Path | None, typer.Option(help="Store; default: the only one.")] = None,
    videos: Annotated[
        Path | None, typer.Option(help="The store's videos, for decord beside it.")
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the crop.")] = 224,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="Threads or worker processes of each way.")] = 2,
    rounds: Annotated[int, typer.Option(help="Interleaved rounds; medians are told.")] = 5,
    as_json: Json = False,
) -> None:
    """The loader beside Pillow on .jpg files, and decord on videos."""
    from dataclasses import asdict

    from rich.console import Console

    from tasd.bench.loader import bench_loader, loader_table
    from tasd.home import only_store
    from tasd.store import Store

    with Store(store or only_store()) as opened:
        figures = bench_loader(
            opened,
            videos=videos,
            size=size,
            device=device,
            threads=threads,
            workers=threads,
            rounds=rounds,
        )
    if as_json:
        typer.echo(json.dumps(asdict(figures)))
    else:
        Console().print(loader_table(figures))


@app.command()
def step(
    backbone: Annotated[str, typer.Option(help="resnet50, mobilenet_v2 ...")] = "resnet50",
    size: Annotated[int, typer.Option(help="Side of the crop.")] = 224,
    way: Annotated[int, typer.Option(help="Classes of an episode.")] = 5,
    shot: Annotated[int, typer.Option(help="Support videos of each class.")] = 1,
    queries: Annotated[int, typer.Option(help="Query videos of each class.")] = 5,
    precision: Annotated[str, typer.Option(help="auto, bf16 or float32.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    rounds: Annotated[int, typer.Option(help="Interleaved rounds; medians are told.")] = 5,
    memory: Annotated[
        bool, typer.Option("--memory", help="Memory, with and without checkpointing, not time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """A training step: what the distillation costs."""
    from dataclasses import asdict

    from rich.console import Console

    from tasd.bench.memory import bench_memory, memory_table
    from tasd.bench.step import Bench, bench_step, step_table

    bench = Bench(backbone, size, way, shot, queries, precision, device, rounds)
    if memory:
        found = bench_memory(bench)
        told = [asdict(row) | {"on_a_card": row.on_a_card} for row in found]
        whole, table = json.dumps(told), memory_table(bench, found)
    else:
        figures = bench_step(bench)
        whole, table = json.dumps(asdict(figures)), step_table(figures)
    if as_json:
        typer.echo(whole)
    else:
        Console().print(table)


@app.command()
def evaluate(
    episodes: Annotated[int, typer.Option(help="How many episodes.")] = 10_000,
    shot: Annotated[int, typer.Option(help="Support videos of each class.")] = 1,
    queries: Annotated[int, typer.Option(help="Query videos of each class.")] = 1,
    matcher: Annotated[
        list[str] | None, typer.Option(help="May be given again; default: all of them.")
    ] = None,
    backbone: Annotated[str, typer.Option(help="Of the field's way beside it.")] = "resnet50",
    size: Annotated[int, typer.Option(help="Side of the crop.")] = 224,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    rounds: Annotated[int, typer.Option(help="Medians of so many are told.")] = 3,
    as_json: Json = False,
) -> None:
    """Episodes per second, beside the network in every episode."""
    from dataclasses import asdict

    from rich.console import Console

    from tasd.bench.evaluate import Bench, bench_evaluate, evaluate_table

    bench = Bench(
        episodes=episodes,
        shot=shot,
        queries=queries,
        backbone=backbone,
        size=size,
        device=device,
        rounds=rounds,
    )
    figures = bench_evaluate(bench, names=matcher or ())
    if as_json:
        typer.echo(json.dumps(asdict(figures) | {"speed": figures.speed}))
    else:
        Console().print(evaluate_table(figures))
