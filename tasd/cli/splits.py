"""``tasd splits``: the class splits, CMN's lists, and the videos of a data set on the disk."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasd.cli.parsing import Command
from tasd.cli.say import say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasd.datasets import Dataset, Listed, Problem, Selection
    from tasd.datasets.presence import Presence

app = typer.Typer(
    name="splits",
    help="Show class splits, fetch video lists, check what is there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command(cls=Command)
def show(
    dataset: Annotated[
        str | None,
        typer.Argument(help="kinetics, ucf101, hmdb51 or ssv2-small; default: counts of all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the class lists of the published splits, with counts."""
    from tasd.datasets.splits import class_splits, published

    names = [dataset] if dataset else list(published())
    splits = {name: class_splits(name) for name in names}
    if as_json:
        _print_json({name: dict(lists) for name, lists in splits.items()})
        return
    counts = [[name, *(len(names) for names in lists.values())] for name, lists in splits.items()]
    _print_table(["classes of", "train", "val", "test"], counts)
    if dataset:
        for split, classes in splits[dataset].items():
            say(f"\n{split} ({len(classes)}): {', '.join(classes)}")


@app.command(cls=Command)
def fetch(
    dataset: Annotated[str, typer.Argument(help="kinetics, the only data set with such lists.")],
    url: Annotated[
        str | None, typer.Option("--from", help="Address of a mirror of the same files.")
    ] = None,
) -> None:
    """Download CMN's lists of 10,000 Kinetics videos and check them."""
    from tasd.datasets.fetch import CMN_URL, fetch_cmn_lists
    from tasd.errors import UserError

    if dataset != "kinetics":
        raise UserError(f"{dataset!r} has no lists to fetch; only kinetics has some")
    for split, path in fetch_cmn_lists(base_url=url or CMN_URL).items():
        say(f"{split}: {path}")


@app.command(cls=Command)
def check(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="kinetics|ucf101|hmdb51|ssv2|folder",
            help="The data set; folder: your own clips.",
        ),
    ],
    root: Annotated[Path, typer.Option(help="Folder of the videos.")],
    list_: Annotated[
        list[Path] | None,
        typer.Option(
            "--list", help="List of videos; may be repeated. Default for kinetics: CMN's lists."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Names of labels that are numbers in lists. Default: a file beside it."),
    ] = None,
    missing: Annotated[
        Path | None, typer.Option(help="Write the names of missing videos to this file.")
    ] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links that lead out of the root.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count the videos on the disk, class by class.

    With a list, count the missing videos too. Nothing is decoded.
    """
    from tasd.datasets import DATASETS, scan, select
    from tasd.datasets.presence import presence
    from tasd.errors import UserError
    from tasd.registry import pick

    kind = pick(DATASETS, dataset, what="data set")
    if labels and not list_:
        raise UserError(f"--labels {labels} has no effect without --list; leave it out")
    listed = _listed(kind, root, list_ or [], labels)
    if missing and listed is None:
        raise UserError(f"--missing {missing} has no effect without a list; name one with --list")
    found = scan(kind, root, follow_links=follow_links)
    selection = select(kind, found, listed)
    rows = presence(kind, selection, listed)
    if missing:
        _write_missing(missing, selection)
    if as_json:
        _print_json(_report(rows, selection, found.problems))
    else:
        _print_rows(rows, selection, found.problems)


def _listed(
    dataset: "Dataset", root: Path, paths: list[Path], labels: Path | None
) -> "list[Listed] | None":
    """Return the lines of the lists; for Kinetics by default those of CMN's fetched lists."""
    from tasd.datasets import read_list
    from tasd.datasets.fetch import cached_cmn_lists

    if not paths and dataset.name == "kinetics":
        paths = list(cached_cmn_lists().values())
        if len(paths) < 3:
            say(
                "Without CMN's lists missing videos cannot be counted; "
                "download the lists with tasd splits fetch kinetics",
                err=True,
            )
            return None
    lines = [
        line
        for path in paths
        for line in read_list(
            dataset, path, root=root, labels=labels, say=lambda text: say(text, err=True)
        )
    ]
    return list(dict.fromkeys(lines)) if paths else None


def _write_missing(path: Path, selection: "Selection") -> None:
    from tasd.files import write_text

    write_text(path, "".join(f"{line.id}\n" for line in selection.missing))


def _report(
    rows: "tuple[Presence, ...]", selection: "Selection", problems: "Sequence[Problem]"
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "classes": [asdict(row) for row in rows],
        "missing": [line.id for line in selection.missing],
        "problems": [asdict(problem) for problem in [*problems, *selection.problems]],
    }


def _print_rows(
    rows: "tuple[Presence, ...]", selection: "Selection", problems: "Sequence[Problem]"
) -> None:
    from tasd.datasets.presence import totals
    from tasd.progress import counted

    listed = any(row.listed is not None for row in rows)
    header = ["split", "class", "found", *(["listed", "missing"] if listed else [])]
    _print_table(header, [_cells(row) for row in rows])
    for split, (found, wanted) in totals(rows).items():
        count = f"{found:,} of {counted(wanted, 'video')}" if listed else counted(found, "video")
        say(f"{split or 'in no split'}: {count}")
    shown = {row.class_name for row in rows}
    _print_problems([p for p in [*problems, *selection.problems] if p.path not in shown])


def _print_problems(problems: "Sequence[Problem]", most: int = 5) -> None:
    """Print a few of each kind: a download of Kinetics-700 has 600 classes of no split."""
    from tasd.foreign import clean

    for kind in sorted({problem.kind for problem in problems}):
        same = [problem for problem in problems if problem.kind == kind]
        for problem in same[:most]:
            say(clean(f"{kind}: {problem.path}: {problem.reason}"), err=True)
        if len(same) > most:
            say(f"{kind}: and {len(same) - most} more", err=True)


def _cells(row: "Presence") -> list[object]:
    counts = [] if row.listed is None else [row.listed, row.listed - row.found or ""]
    return [row.split, row.class_name, row.found, *counts]


def _print_table(header: list[str], rows: list[list[Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from tasd.foreign import clean

    table = Table(box=SIMPLE_HEAD)
    for number, title in enumerate(header):
        text = all(isinstance(row[number], str) and row[number] for row in rows) or not number
        table.add_column(title, justify="left" if text else "right", no_wrap=True)
    for row in rows:
        # Square brackets of a name are no markup.
        table.add_row(*(clean(str(cell)).replace("[", r"\[") for cell in row))
    Console(highlight=False).print(table)


def _print_json(content: object) -> None:

    say_json(content, indent=1)
