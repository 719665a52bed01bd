"""The paper's tables with published and our own results, as text, Markdown and HTML."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tasd.foreign import clean
from tasd.report.markup import paragraph, scrolled, table_cell, table_of
from tasd.report.outcome import NAMES, Outcome, cell
from tasd.report.published import DATASETS, LATER, TABLE1, TABLE2, TABLE3, TITLES

Row = tuple[str, ...]
Mark = Literal["best", "second"]


@dataclass(frozen=True)
class Table:
    """A caption, a header and rows of text.

    ours: the number of rows at the end that hold our own results. marks: by row and column, of the
    cells that are printed bold (the best) or underlined (the second); a terminal shows none.
    """

    name: str
    caption: str
    header: Row
    rows: tuple[Row, ...]
    ours: int = 0
    marks: Mapping[tuple[int, int], Mark] = field(default_factory=dict)

    def cells(self, escape: Callable[[str], str], forms: Mapping[Mark, str]) -> list[Row]:
        """Return the rows, escaped; marked cells in the form, in which ``{}`` is the text."""
        return [
            tuple(
                forms[self.marks[row, column]].format(escape(text))
                if (row, column) in self.marks
                else escape(text)
                for column, text in enumerate(texts)
            )
            for row, texts in enumerate(self.rows)
        ]


def tables(outcomes: Sequence[Outcome]) -> list[Table]:
    """Make the tables that these runs have results for."""
    comparable = [outcome for outcome in outcomes if outcome.like_published]
    made = [results(outcomes), table1(comparable), table2(comparable), table3(comparable)]
    return [table for table in made if table is not None]


def results(outcomes: Sequence[Outcome]) -> Table | None:
    """List student, teacher and floor of each run that was tested."""
    rows = [row for outcome in outcomes for row in _results_of(outcome)]
    header = ("run", "method", "task", "network", "accuracy", *INTERVALS, "episodes")
    return Table("results", CAPTION_RESULTS, header, tuple(rows), len(rows)) if rows else None


CAPTION_RESULTS = (
    "Test accuracy in percent with 95 % intervals. Chosen: the network that was better on the "
    "validation classes. Floor: the better on validation of the run's two starts, the untrained "
    "network and its pretrained backbone without encoder, on the same episodes; in brackets the "
    "points by which the chosen network is above it, paired, with the interval of the sampling of "
    "episodes. That interval does not cover other classes, other videos or other training runs."
)


def _results_of(outcome: Outcome) -> Iterator[Row]:
    if outcome.result is None:
        return
    episodes, networks = outcome.result["episodes"], outcome.result["networks"]
    task = f"{outcome.config.dataset} {episodes['way']}-way {episodes['shot']}-shot"
    for name, result in networks.items():
        mark = " (chosen)" if len(networks) > 1 and name == outcome.result["chosen"] else ""
        figures = _figures(result, episodes["count"])
        yield (outcome.name, outcome.method, task, f"{name}{mark}", *figures)
    if (floor := outcome.floor) is not None:
        starts = {"floor": floor} | (
            {"other start": floor["other_start"]} if "other_start" in floor else {}
        )
        for role, start in starts.items():
            name = f"{role} ({_start(start)}, {_title(start['matcher'])}; {_above(start)})"
            yield (outcome.name, "no training", task, name, *_figures(start, episodes["count"]))


def _start(start: Mapping[str, Any]) -> str:
    untrained = start.get("start") == "untrained"
    return "untrained network" if untrained else f"plain {start['backbone']}"


def _figures(result: Mapping[str, Any], count: int) -> Row:
    intervals = result["interval95"]
    ends = (_ends(intervals[kind]) for kind in INTERVALS)
    return (f"{100 * result['accuracy']:.2f}", *ends, f"{count:,}")


def _title(matcher: str) -> str:
    return NAMES.get(matcher, matcher)


def _above(floor: Mapping[str, Any]) -> str:
    gain = floor["run_minus_floor"]["difference"]
    return f"{100 * gain['mean']:+.1f}, {100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}"


INTERVALS = ("sampling of episodes only", "other classes", "other videos of these classes")


def _ends(pair: Sequence[float] | None) -> str:
    return "unknown" if pair is None else f"{100 * pair[0]:.1f} to {100 * pair[1]:.1f}"


def table1(outcomes: Sequence[Outcome]) -> Table | None:
    """List methods by data set and shot; None where no run was tested.

    Published rows are included where a run was tested on one of the paper's data sets.
    """
    tested = [outcome for outcome in outcomes if outcome.result is not None]
    own = {outcome.config.dataset for outcome in tested}
    if not own:
        return None
    names = [*DATASETS, *sorted(own - {*DATASETS})] if own & {*DATASETS} else sorted(own)
    columns = [(name, shot) for name in names for shot in (1, 5)]
    if not own & {*DATASETS}:  # without published rows, only columns with results of ours
        columns = sorted({(o.config.dataset, o.shot) for o in tested})
    rows = [
        (f"{row.method} ({row.source})", *(row.text(*c) for c in columns))
        for row in (*TABLE1, *LATER)
        if own & {*DATASETS}
    ]
    methods = list(dict.fromkeys(outcome.method for outcome in tested))
    for method in methods:
        mine = [outcome for outcome in tested if outcome.method == method]
        rows.append((f"{method}, ours", *(_ours(mine, _is(*column)) for column in columns)))
    header = ("method", *(f"{TITLES.get(name, name)} {shot}-shot" for name, shot in columns))
    notes = [row.note for row in TABLE1 if row.note and own & {*DATASETS}]
    return Table("table1", " ".join([CAPTION1, *notes]), header, tuple(rows), len(methods))


CAPTION1 = (
    "5-way accuracy in percent. Published results as printed; those with CLIP and the test "
    "classes' names as text (TS-FSAR, AAAI 2026) are of another setting and left out. Ours with "
    "the 95 % interval of the sampling of episodes, or over training seeds where the number of "
    "seeds is given."
)


def _is(dataset: str, shot: int) -> Callable[[Outcome], bool]:
    return lambda outcome: (outcome.config.dataset, outcome.shot) == (dataset, shot)


def _ours(outcomes: Sequence[Outcome], wanted: Callable[[Outcome], bool]) -> str:
    found = cell([outcome for outcome in outcomes if wanted(outcome)])
    return "-" if found is None else found.text


def table2(outcomes: Sequence[Outcome]) -> Table | None:
    """List the ablation of the distillation's terms; None where there is nothing to compare."""
    tested = [outcome for outcome in outcomes if outcome.config.matcher.name == "bimhm"]
    columns = _columns([o for o in tested if o.terms in {row.terms for row in TABLE2}])
    if not _worth_a_table(columns, "ucf101", kinds=len({o.terms for o in tested})):
        return None
    rows = [
        (
            row.method,
            *("yes" if term in row.terms else "" for term in ("ce", "pr", "am")),
            f"{row.accuracy:.2f}",
            *(_ours([o for o in tested if o.terms == row.terms], _is(*c)) for c in columns),
        )
        for row in TABLE2
    ]
    header = ("method", "SD", "PR", "MDD", "published, UCF101 1-shot", *map(_column, columns))
    return Table("table2", CAPTION2, header, tuple(rows))


CAPTION2 = (
    "Ablation of self-distillation (SD), pixel relation (PR) and multi-dimension distillation "
    "(MDD); accuracy in percent."
)


def table3(outcomes: Sequence[Outcome]) -> Table | None:
    """List the modes of video pairs; None where there is nothing to compare."""
    tested = [outcome for outcome in outcomes if "ce" in outcome.terms]
    columns = _columns(tested)
    modes = {outcome.config.distill.ce_pairs for outcome in tested}
    if not _worth_a_table(columns, "kinetics", kinds=len(modes)):
        return None
    rows = []
    for row in TABLE3:
        mine = [o for o in tested if o.config.distill.ce_pairs == row.mode]
        best = [str(_best_episode(o)) for o in mine if o.result is not None]
        ours = [_ours(mine, _is(*column)) for column in columns]
        rows.append((row.mode, f"{row.episode:,}", f"{row.accuracy:.2f}", ", ".join(best), *ours))
    header = (
        "video pair",
        "best episode, published",
        "published, Kinetics 1-shot",
        "best episode, ours",
        *map(_column, columns),
    )
    return Table("table3", CAPTION3, header, tuple(rows))


CAPTION3 = (
    "Video pairs of the distillation: both networks on the same support (SS) or query (QS) "
    "videos, or the student's query against the teacher's support (CS); accuracy in percent. The "
    "published best episode was chosen on the test classes, ours on the validation classes."
)


def _best_episode(outcome: Outcome) -> str:
    if outcome.result is None:
        return ""
    origin = outcome.result["provenance"].get("checkpoint", {})
    return f"{origin['episode']:,}" if "episode" in origin else ""


def _columns(outcomes: Sequence[Outcome]) -> list[tuple[str, int]]:
    return sorted({(o.config.dataset, o.shot) for o in outcomes if o.result is not None})


def _column(column: tuple[str, int]) -> str:
    return f"ours, {TITLES.get(column[0], column[0])} {column[1]}-shot"


def _worth_a_table(columns: list[tuple[str, int]], dataset: str, *, kinds: int) -> bool:
    """Return True for a result on the published data set, or for two kinds of run to compare."""
    published = any(name == dataset for name, _ in columns)
    return published or (bool(columns) and kinds > 1)


def markdown(table: Table) -> str:
    """Format a table as Markdown, its caption above."""
    rule = ("---",) * len(table.header)
    head = [tuple(map(_plain_markdown, row)) for row in (table.header, rule)]
    rows = table.cells(_plain_markdown, {"best": "**{}**", "second": "<u>{}</u>"})
    lines = [f"| {' | '.join(row)} |" for row in (*head, *rows)]
    return "\n".join([f"**{table.caption}**", "", *lines]) + "\n"


# Of Markdown: what begins HTML, a link, code, emphasis, or another cell.
MARKDOWN = {"<": "&lt;", ">": "&gt;", "&": "&amp;"} | {c: f"\\{c}" for c in "\\|`[]*"}


def _plain_markdown(text: str) -> str:
    return "".join(MARKDOWN.get(character, character) for character in clean(text))


def text(table: Table) -> str:
    """Format a table for a terminal: columns aligned, its caption below."""
    rows = [tuple(map(clean, row)) for row in (table.header, *table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    caption = textwrap.fill(table.caption, 100)
    return "\n".join([lines[0], rule, *lines[1:], "", caption]) + "\n"


def html_table(table: Table) -> str:
    """Format a table as HTML, its caption above and our rows in bold."""
    first_own = len(table.rows) - table.ours
    rows = [
        f"<tr{' class=ours' if number >= first_own and first_own else ''}>"
        + "".join(table_cell(*pair) for pair in zip(row, table.header, strict=True))
        + "</tr>"
        for number, row in enumerate(table.rows)
    ]
    content = scrolled(table_of(table.header, rows), label=table.name)
    return paragraph(table.caption, kind="caption") + content
