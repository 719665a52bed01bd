"""One table over data sets and shots, with published numbers, and its curves; runs may be left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasd.files import as_json, write_text
from tasd.report.latex import latex
from tasd.report.outcome import NAMES, cell
from tasd.report.published import DATASETS, LATER, TABLE1, TITLES, Published
from tasd.report.style import COLOURS, DASHES, PAGE, light_grid, new_figure, save, style
from tasd.report.style import label as label_of
from tasd.report.tables import Mark, Row, Table, markdown
from tasd.reproduce.rows import DISTILLED
from tasd.reproduce.runs import progress_of, validations
from tasd.reproduce.study import Study, finished_runs

NAME = "columns"


@dataclass(frozen=True)
class _Cell:
    """A cell of ours: its text, and its accuracy in percent where it is of finished runs."""

    text: str
    accuracy: float | None = None


def columns_table(studies: Sequence[Study]) -> Table:
    """Compare all rows over the data sets and shots of ``studies``, with the published numbers.

    A row that is not done has a dash and the share of its training that is. In each column the
    best of the published numbers and the best of ours are marked, and the second best.
    """
    header: Row = ("method", *(_title(study) for study in studies))
    published = [
        _Line(f"{one.method} ({one.source})", [_published(one, s) for s in studies])
        for one in (*TABLE1, *LATER)
    ]
    if not {study.store.dataset for study in studies} & {*DATASETS}:
        published = []
    names = list(dict.fromkeys(row.name for study in studies for row in study.rows))
    ours = [_Line(f"{_method(name)}, ours", [_ours(study, name) for study in studies])
            for name in names]  # fmt: skip
    marks = _marks(published, first=0) | _marks(ours, first=len(published))
    rows = tuple((line.name, *(cell.text for cell in line.cells)) for line in published + ours)
    return Table(NAME, CAPTION, header, rows, len(ours), marks)


CAPTION = (
    "Accuracy in percent; best in bold, second underlined, among published numbers and among ours. "
    "Published: as printed in Table 1 of Zhang et al. 2024, later by their authors. Ours: with "
    "the 95 % interval of the sampling of episodes, or over training seeds where their number is "
    "given; checkpoints are chosen on the validation classes. A dash with a share: that much of "
    "the training is done."
)


@dataclass(frozen=True)
class _Line:
    name: str
    cells: Sequence[_Cell]


def _title(study: Study) -> str:
    dataset, episode = study.store.dataset, study.rows[0].config.episode
    way = "" if episode.way == 5 else f"{episode.way}-way "
    return f"{TITLES.get(dataset, dataset)} {way}{episode.shot}-shot"


def _method(name: str) -> str:
    matcher = name.removesuffix(DISTILLED)
    return NAMES.get(matcher, matcher) + (" + distillation" if name != matcher else "")


def _published(row: Published, study: Study) -> _Cell:
    episode, dataset = study.rows[0].config.episode, study.store.dataset
    pair = row.accuracy.get(dataset)
    if pair is None or episode.shot not in (1, 5) or episode.way != 5:
        return _Cell("-")
    return _Cell(row.text(dataset, episode.shot), pair[episode.shot == 5])


def _ours(study: Study, name: str) -> _Cell:
    """Return the accuracy of a row; with a dash and its progress where a run of it is left."""
    plans = [plan for plan in study.plans if plan.row.name == name]
    if not plans:
        return _Cell("-")
    done = {run.plan.name: run.outcome for run in finished_runs(study, only=name)}
    if len(done) == len(plans):
        found = cell(list(done.values()))
        assert found is not None
        return _Cell(found.text, 100 * found.interval.mean)
    episodes = plans[0].config.training.episodes
    trained = [progress_of(plan, study.request).episode for plan in plans]
    share = sum(min(one, episodes) for one in trained) / (episodes * len(plans))
    return _Cell(f"- ({share:.0%})")


def _marks(lines: Sequence[_Line], *, first: int) -> dict[tuple[int, int], Mark]:
    """Mark the best and the second best accuracy of each column as they are printed.

    first: the number of the first of these rows in the table. Equal numbers share a mark.
    """
    found: dict[tuple[int, int], Mark] = {}
    for column in range(len(lines[0].cells) if lines else 0):
        values = [line.cells[column].accuracy for line in lines]
        rounded = [None if value is None else round(value, 1) for value in values]
        ranks = sorted({value for value in rounded if value is not None}, reverse=True)
        for row, value in enumerate(rounded):
            if value is not None and value in ranks[:2]:
                mark: Mark = "best" if value == ranks[0] else "second"
                found[first + row, column + 1] = mark
    return found


def curves_figure(studies: Sequence[Study]) -> Figure | None:
    """Draw the validation accuracy of each row against training episodes, a panel for each study.

    The better network at each validation, the mean over the seeds that have reached it. None where
    nothing was validated yet.
    """
    panels = [(study, curves) for study in studies if (curves := _curves(study))]
    if not panels:
        return None
    wide = min(2, len(panels))
    high = -(-len(panels) // wide)
    with style():
        figure = new_figure(PAGE, 2.6 * high + 0.8)
        places = figure.subplots(high, wide, squeeze=False).flatten()
        for axes, (study, curves) in zip(places, panels, strict=False):
            _panel(axes, study, curves)
        for axes in places[len(panels) :]:
            axes.set_axis_off()
        labels: dict[str, Artist] = {}
        for axes in places:
            lines, texts = axes.get_legend_handles_labels()
            labels.update(zip(texts, lines, strict=True))
        figure.legend(list(labels.values()), list(labels), loc="outside lower center", ncols=3)
    return figure


def _panel(axes: Axes, study: Study, curves: Mapping[str, Float[np.ndarray, "points 2"]]) -> None:
    for number, row in enumerate(study.rows):
        if row.name in curves:
            colour = COLOURS[number // 2 % len(COLOURS)]
            dash = DASHES[number // 2 // len(COLOURS) * 2 % 4 + row.name.endswith(DISTILLED)]
            episode, accuracy = curves[row.name].T
            name = label_of(_method(row.name))
            axes.plot(episode, accuracy, dash, color=colour, label=name, linewidth=1)
    axes.set_title(label_of(_title(study)))
    axes.set_xlabel("training episode")
    axes.set_ylabel("validation accuracy in percent")
    light_grid(axes)


def _curves(study: Study) -> dict[str, Float[np.ndarray, "points 2"]]:
    """Return episodes and mean accuracies in percent of each row that was validated."""
    found: dict[str, dict[int, list[float]]] = {}
    for plan in study.plans:
        for line in validations(plan.run) if plan.run.metrics.is_file() else []:
            networks = [line[name] for name in ("student", "teacher") if name in line]
            best = 100 * max(network["accuracy"] for network in networks)
            found.setdefault(plan.row.name, {}).setdefault(line["episode"], []).append(best)
    return {
        name: np.array([(at, np.mean(values)) for at, values in sorted(points.items())])
        for name, points in found.items()
    }


def write_columns(studies: Sequence[Study], folder: Path) -> Table:
    """Write columns.md, .tex and .json and the curves into ``folder``, and return the table."""
    table = columns_table(studies)
    write_text(folder / f"{NAME}.md", markdown(table))
    write_text(folder / f"{NAME}.tex", latex(table))
    content = {
        "format": "tasd-columns",
        "version": 1,
        "header": table.header,
        "rows": table.rows,
        "marks": [[row, column, mark] for (row, column), mark in sorted(table.marks.items())],
    }
    write_text(folder / f"{NAME}.json", as_json(content))
    figure = curves_figure(studies)
    if figure is not None:
        save(figure, folder, "curves")
    return table
