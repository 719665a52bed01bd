"""``tasd reproduce``: a table of the paper, run by run."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tasd.cli.say import say
from tasd.cli.train import SETTINGS


def reproduce(
    table: Annotated[str, typer.Argument(help="table1, table2 or table3.")],
    store: Annotated[
        Path | None, typer.Option(help="Prepared store; default: the only one there is.")
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="Training episodes of each run.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of training seeds of each row.")] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this row, as in otam or otam+distillation; repeatable."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe of all rows; default: tasd, or for table1 the recipe of each matcher."
        ),
    ] = None,
    way: Annotated[int | None, typer.Option(help="Classes of an episode.")] = None,
    shot: Annotated[int, typer.Option(help="Support videos of each class.")] = 1,
    queries: Annotated[int | None, typer.Option(help="Query videos of each class.")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Backbone, such as resnet50 or mobilenet_v2.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="'imagenet', 'none', or the file of a state dict.")
    ] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the crop in pixels.")] = None,
    loader: Annotated[str | None, typer.Option(help="Loader: auto, dali or torch.")] = None,
    precision: Annotated[str | None, typer.Option(help="Precision: auto, bf16 or float32.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any setting, for all rows, as in --set optimiser.lr=1e-4; repeatable."
        ),
    ] = None,
    test_episodes: Annotated[int, typer.Option(min=1, help="Number of test episodes.")] = 10_000,
    test_queries: Annotated[
        int, typer.Option(min=1, help="Query videos of each class in a test episode.")
    ] = 1,
    test_curve: Annotated[
        bool,
        typer.Option(
            "--test-curve", help="Also test a checkpoint of every validation; takes disk space."
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    scheduler: Annotated[
        str | None,
        typer.Option(help="Dask scheduler, address or file: one run for each GPU of its workers."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the runs.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the runs, their hours and their disk.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train and test all rows of a table of the paper.

    table1: its matchers without and with the distillation. table2: the terms of the
    distillation, added one after the other. table3: the video pairs SS, QS and CS. All runs are
    tested on the same episodes; checkpoints are chosen on the validation classes. After an
    interruption give the same command again: finished runs are skipped, the others continue.
    """
    given: dict[str, Any] = {
        name: value for name, value in locals().items() if name in SETTINGS and value is not None
    }
    from rich.console import Console

    from tasd.config import parse_setting
    from tasd.foreign import clean_lines, path_part
    from tasd.home import only_store
    from tasd.report.tables import text as table_text
    from tasd.reproduce.rows import RowRequest, keep_checkpoints, rows_of
    from tasd.reproduce.study import Study, list_runs, run_study
    from tasd.runs.folder import runs_folder
    from tasd.store import Store

    settings = [(SETTINGS[name], value) for name, value in given.items()]
    settings += [parse_setting(text) for text in set_ or []]
    console = Console(stderr=True)
    with Store(store or only_store()) as opened:
        rows = rows_of(table, RowRequest(opened.dataset, shot, recipe, settings, only or ()))
        task = f"{rows[0].config.episode.way}w{shot}s"
        study = Study(
            table=table,
            rows=[keep_checkpoints(row) for row in rows] if test_curve else rows,
            store=opened,
            folder=out or runs_folder() / f"{path_part(opened.dataset)}-{table}-{task}",
            seeds=seeds,
            count=test_episodes,
            queries=test_queries,
            curve=test_curve,
            device=device,
            scheduler=scheduler,
        )
        listing = list_runs(study)
        if dry_run:
            typer.echo(json.dumps(listing.document) if as_json else "\n".join(listing.lines))
            return
        console.print(
            clean_lines("\n".join(listing.lines)), highlight=False, markup=False, soft_wrap=True
        )
        result = run_study(study, console)
    if as_json:
        typer.echo(json.dumps(result.document))
    else:
        say("\n".join(map(table_text, result.tables)))
    for name, message in result.failed.items():
        say(f"{name} failed: {message}", err=True)
    raise typer.Exit(result.exit_code)
