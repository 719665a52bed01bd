"""``tasd reproduce``: from the command line to a study."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tasd.cli.train import SETTINGS


def reproduce(
    table: Annotated[str, typer.Argument(help="table1, table2 or table3.")],
    store: Annotated[
        Path | None, typer.Option(help="Prepared store; default: the only one there is.")
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="Training episodes of each run.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds, 0 and up, of each row.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="A row, as in otam or otam+distillation; repeatable.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="What all rows have in common. Default: tasd; for table1 each its own."),
    ] = None,
    way: Annotated[int | None, typer.Option(help="Classes of an episode.")] = None,
    shot: Annotated[int, typer.Option(help="Support videos of each class.")] = 1,
    queries: Annotated[int | None, typer.Option(help="Query videos of each class.")] = None,
    backbone: Annotated[str | None, typer.Option(help="resnet50, mobilenet_v2 ...")] = None,
    weights: Annotated[
        str | None, typer.Option(help="'imagenet', 'none', or the file of a state dict.")
    ] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the crop in pixels.")] = None,
    loader: Annotated[str | None, typer.Option(help="auto, dali or torch.")] = None,
    precision: Annotated[str | None, typer.Option(help="bf16 or float32.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting, for all rows: --set optimiser.lr=1e-4."),
    ] = None,
    test_episodes: Annotated[int, typer.Option(min=1, help="Episodes of the test.")] = 10_000,
    test_queries: Annotated[int, typer.Option(min=1, help="Their query videos.")] = 1,
    test_curve: Annotated[
        bool,
        typer.Option("--test-curve", help="Test a checkpoint of every validation too; costs disk."),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder of the runs.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would run and how long.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run what a table of the paper compares, numbers beside ours.

    table1: every matcher with and without the distillation. table2: the terms of the
    distillation one after the other. table3: the pairs of videos SS, QS and CS. A run that is
    done is not done again, one that was interrupted goes on: give the same command again. All
    are tested on the same episodes; checkpoints are chosen on the validation classes.
    """
    given: dict[str, Any] = {
        name: value for name, value in locals().items() if name in SETTINGS and value is not None
    }
    from rich.console import Console

    from tasd.config import parse_setting
    from tasd.home import only_store
    from tasd.report.tables import text
    from tasd.reproduce.rows import RowRequest, keeping_checkpoints, rows_of
    from tasd.reproduce.study import Study, listing, run_study
    from tasd.runs.folder import runs_folder
    from tasd.store import Store

    settings = [(SETTINGS[name], value) for name, value in given.items()]
    settings += [parse_setting(words) for words in set_ or []]
    console = Console(stderr=True)
    with Store(store or only_store()) as opened:
        rows = rows_of(table, RowRequest(opened.dataset, shot, recipe, settings, only or ()))
        shape = f"{rows[0].config.episode.way}w{shot}s"
        study = Study(
            table=table,
            rows=[keeping_checkpoints(row) for row in rows] if test_curve else rows,
            store=opened,
            folder=out or runs_folder() / f"{opened.dataset}-{table}-{shape}",
            seeds=seeds,
            count=test_episodes,
            queries=test_queries,
            curve=test_curve,
            device=device,
        )
        found = listing(study)
        if dry_run:
            typer.echo(json.dumps(found.document) if as_json else "\n".join(found.lines))
            return
        console.print("\n".join(found.lines), highlight=False, soft_wrap=True)
        told = run_study(study, console)
    if as_json:
        typer.echo(json.dumps(told.document, ensure_ascii=False))
    else:
        typer.echo("\n".join(map(text, told.tables)))
    for name, why in told.failed.items():
        typer.echo(f"{name} failed: {why}", err=True)
    raise typer.Exit(told.exit_code)
