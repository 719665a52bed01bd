"""``tasd reproduce``: a table of the paper, run by run."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasd.cli.say import say, say_json
from tasd.cli.train import SETTINGS, settings_of
from tasd.errors import Mistakes

if TYPE_CHECKING:
    from rich.console import Console

    from tasd.report.tables import Table
    from tasd.reproduce.rows import Row
    from tasd.reproduce.study import Study
    from tasd.store import Store


def reproduce(
    table: Annotated[str, typer.Argument(help="table1, table2 or table3.")],
    store: Annotated[
        Path | None, typer.Option(help="Prepared store; default: the only one there is.")
    ] = None,
    datasets: Annotated[
        str | None,
        typer.Option(help="One table over several data sets, as in kinetics,ucf101,hmdb51."),
    ] = None,
    shots: Annotated[
        str | None, typer.Option(help="Shots of that table's columns, as in 1,5.")
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
    so_far: Annotated[
        bool, typer.Option("--so-far", help="Only write the tables of what is done so far.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train and test all rows of a table of the paper.

    table1: its matchers without and with the distillation. table2: the terms of the
    distillation, added one after the other. table3: the video pairs SS, QS and CS. All runs are
    tested on the same episodes; checkpoints are chosen on the validation classes. After an
    interruption give the same command again: finished runs are skipped, the others continue.
    With --datasets all of them stand in one table, beside the published numbers.
    """
    given: dict[str, Any] = {
        name: value for name, value in locals().items() if name in SETTINGS and value is not None
    }
    if shot > 0:  # a wrong one is told as it was typed
        del given["shot"]  # the recipe takes it: a column may have another
    from rich.console import Console

    from tasd.device import pick_device
    from tasd.foreign import path_part
    from tasd.reproduce.rows import keep_checkpoints
    from tasd.reproduce.study import Study
    from tasd.runs.folder import runs_folder
    from tasd.store import Store

    console = Console(stderr=True)
    folder = out or (runs_folder() / f"columns-{table}" if datasets else None)
    with contextlib.ExitStack() as stack:
        with Mistakes() as mistakes:
            mistakes.of(pick_device, device)
            settings = settings_of(given, set_ or [], mistakes)
            columns = mistakes.of(_columns, datasets, shots, store=store, shot=shot)
            rows_at: list[tuple[Store, int, list[Row]]] = []
            unknown: list[tuple[Path | None, int]] = [(None, shot)]
            for path, task_shot in columns or unknown:
                there = None if path is None else mistakes.of(Store, path)
                if there is not None:
                    stack.enter_context(there)
                rows = _checked_rows(table, there, recipe, task_shot, settings, only, mistakes)
                if there is not None and rows is not None:
                    rows_at.append((there, task_shot, rows))
        studies = []
        for opened, task_shot, rows in rows_at:
            task = f"{rows[0].config.episode.way}w{task_shot}s"
            name = f"{path_part(opened.dataset)}-{table}-{task}"
            own = folder / name if datasets and folder is not None else folder
            studies.append(
                Study(
                    table=table,
                    rows=[keep_checkpoints(row) for row in rows] if test_curve else rows,
                    store=opened,
                    folder=own or runs_folder() / name,
                    seeds=seeds,
                    count=test_episodes,
                    queries=test_queries,
                    curve=test_curve,
                    device=device,
                    scheduler=scheduler,
                )
            )
        raise typer.Exit(_do(studies, folder, console, as_json, dry_run=dry_run, so_far=so_far))


def _checked_rows(
    table: str,
    store: "Store | None",
    recipe: str | None,
    shot: int,
    settings: list[tuple[str, Any]],
    only: list[str] | None,
    mistakes: Mistakes,
) -> "list[Row] | None":
    """Return the rows of a column; what is wrong with them goes to the mistakes."""
    from tasd import recipes
    from tasd.recipes.settings import accepted
    from tasd.reproduce.rows import RowRequest, rows_of
    from tasd.training.mistakes import refuse_mistakes

    dataset = "folder" if store is None else store.dataset
    request = RowRequest(dataset, shot, recipe, settings, only or ())
    rows = mistakes.of(rows_of, table, request)
    if rows is None:  # the rest is checked without what was wrong
        base = recipes.make("tasd", dataset=dataset, shot=1)
        config = recipes.change(base, accepted(base, settings))
        mistakes.of(refuse_mistakes, config, store)
    for row in rows or ():
        mistakes.of(refuse_mistakes, row.config, store)
    return rows


def _columns(
    datasets: str | None, shots: str | None, *, store: Path | None, shot: int
) -> list[tuple[Path, int]]:
    """Return the stores and shots of all columns. Raises `UserError`."""
    from tasd.errors import UserError
    from tasd.home import only_store

    if datasets is None:
        if shots is not None:
            raise UserError("--shots needs --datasets; give both, or one --shot")
        return [(store or only_store(), shot)]
    if store is not None:
        raise UserError("--datasets and --store exclude each other; give one of them")
    with Mistakes() as mistakes:
        names = [name.strip() for name in datasets.split(",") if name.strip()]
        stores = [mistakes.of(_store_named, name) for name in dict.fromkeys(names)]
        if not names:
            mistakes.add(UserError(f"--datasets {datasets!r} names none; write kinetics,ucf101"))
        numbers = [text.strip() for text in (shots or str(shot)).split(",")]
        if not all(number.isdecimal() and int(number) for number in numbers):
            mistakes.add(UserError(f"--shots {shots!r} is not a list of numbers; write 1,5"))
    return [(path, int(shot)) for path in stores if path for shot in dict.fromkeys(numbers)]


def _store_named(name: str) -> Path:
    """Return the default store of a data set. Raises `UserError` where it is not there."""
    from tasd.datasets import DATASETS
    from tasd.errors import UserError
    from tasd.home import default_store
    from tasd.registry import pick

    path = default_store(name)
    if not (path / "manifest.json").is_file():
        pick(DATASETS, name, what="data set")
        raise UserError(
            f"--datasets: there is no store in {path}; prepare it with tasd prep {name}"
        )
    return path


def _do(
    studies: "list[Study]",
    columns: Path | None,
    console: "Console",
    as_json: bool,
    *,
    dry_run: bool,
    so_far: bool,
) -> int:
    """List or do the studies and print their tables; return the exit code.

    columns: the folder of the one table of several studies.
    """
    from tasd.foreign import clean_lines
    from tasd.report.tables import text as table_text
    from tasd.reproduce.columns import write_columns
    from tasd.reproduce.study import list_runs, run_study, tables_so_far

    many = studies[0].folder != columns and columns is not None
    if not so_far:
        listings = [list_runs(study) for study in studies]
        if dry_run:
            content = [row for listing in listings for row in listing.document]
            lines = [line for listing in listings for line in listing.lines]
            say_json(content) if as_json else say("\n".join(lines))
            return 0
        for listing in listings:
            told = clean_lines("\n".join(listing.lines))
            console.print(told, highlight=False, markup=False, soft_wrap=True)

    def after() -> None:
        if many and columns is not None:
            write_columns(studies, columns)

    codes, documents = [], []
    tables: list[Table] = []
    failed: dict[str, str] = {}
    for study in studies:
        result = tables_so_far(study) if so_far else run_study(study, console, after=after)
        codes.append(result.exit_code)
        documents.append(result.document)
        tables += [] if many else result.tables
        failed |= {f"{study.folder.name}/{n}" if many else n: m for n, m in result.failed.items()}
        if result.exit_code > 1:
            break
    if many and columns is not None:
        tables = [write_columns(studies, columns)]
    if as_json:
        say_json(documents if many else documents[0])
    else:
        say("\n".join(map(table_text, tables)))
    for name, message in failed.items():
        say(f"{name} failed: {message}", err=True)
    return max(codes)
