"""The table that is printed at the end of a prep."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from prep.report import KINDS, USUAL_EPISODES, Report
from tasd.foreign import clean
from tasd.progress import counted
from tasd.store import REPORT

EXAMPLES = 3
NAMES = 8
LITTLE = 1000  # videos


def print_report(report: Report, store: Path, console: Console | None = None) -> None:
    """Print counts and a few examples of each kind of video; report.json has all of them."""
    console = console or Console(highlight=False)
    console.print(_table(report))
    for name, need in USUAL_EPISODES.items():
        few = report.too_few(need)
        if few:
            short = [f"{name} ({report.prepared.get(name, 0)})" for name in few[:NAMES]]
            more = f" and {len(few) - NAMES} more" if len(few) > NAMES else ""
            line = f"too few videos for {name}, {need} a class: {', '.join(short)}{more}"
            console.print(clean(line), markup=False, soft_wrap=True)
    if report.videos < LITTLE:
        console.print("few videos to train on: tasd train --recipe small is made for that")
    console.print(f"store: {store}\nfull report: {store / REPORT}", markup=False, soft_wrap=True)


def _table(report: Report) -> Table:
    table = Table(show_edge=False)
    table.add_column("videos", justify="right")
    table.add_column("")
    table.add_column("for example", overflow="fold")
    classes = f"in {counted(len(report.prepared), 'class')}"
    table.add_row(f"{report.videos:,}", "prepared", classes)
    for kind in KINDS:
        remarks = [remark for remark in report.remarks if remark.kind == kind]
        named = [f"{remark.path}: {remark.reason}" for remark in remarks[:EXAMPLES]]
        if remarks:
            table.add_row(f"{len(remarks):,}", kind, _plain("\n".join(named)))
    if report.missing:
        named = list(report.missing[:EXAMPLES])
        table.add_row(f"{len(report.missing):,}", "missing from the list", _plain("\n".join(named)))
    for found in sorted({problem.kind for problem in report.problems}):
        problems = [problem for problem in report.problems if problem.kind == found]
        named = [f"{problem.path}: {problem.reason}" for problem in problems[:EXAMPLES]]
        table.add_row(f"{len(problems):,}", f"on the disk: {found}", _plain("\n".join(named)))
    return table


def _plain(text: str) -> str:
    """Escape control characters, and square brackets, which rich would read as markup."""
    return clean(text, keep="\n").replace("[", r"\[")
