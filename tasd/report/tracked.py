"""Results of a tracked run, added to its trackers: numbers, tables and figures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tasd.errors import UserError
from tasd.evaluation.evaluate import Evaluated
from tasd.report.outcome import Outcome
from tasd.report.per_class import per_class_bars
from tasd.report.style import PAGE, label, new_figure, style
from tasd.runs.folder import Run
from tasd.runs.tracker import Entry, Table
from tasd.runs.tracking import Tracking, read_tracked

NAMED_CLASSES = 40  # more names than these do not fit beside a picture


def track_results(every: Sequence[Sequence[Evaluated]], *, say: Callable[[str], None]) -> None:
    """Add results to the trackers of their runs; those of no tracked run are left out.

    every: the results of each seed. say: prints a line, also for a tracker that fails.
    """
    found: dict[Path, list[Evaluated]] = {}
    for result in (result for results in every for result in results):
        if "run" in result.candidate.origin:
            found.setdefault(Path(result.candidate.origin["run"]), []).append(result)
    for folder, results in found.items():
        if (tracked := _names(folder, say)) is None:
            continue
        tracking = Tracking(folder, tracked, say=say, adds=True)
        for result in results:
            add_result(tracking, Run(folder), result.name, result.content)
        tracking.finish("finished")


def _names(folder: Path, say: Callable[[str], None]) -> tuple[str, ...] | None:
    try:
        tracked = read_tracked(folder)
    except UserError as error:
        say(str(error))
        return None
    return None if tracked is None else tracked.names or None


def add_result(tracking: Tracking, run: Run, name: str, result: Mapping[str, Any]) -> None:
    """Add one result: the content of a result file of that name."""
    networks = _networks(result)
    episode = result["provenance"]["checkpoint"]["episode"]
    numbers = {f"evaluation/{name}/{one}": found["accuracy"] for one, found in networks.items()}
    tracking.numbers(numbers, episode=episode)
    tracking.table(f"evaluation/{name}", result_table(networks))
    tracking.table(f"evaluation/{name}-classes", class_table(networks))
    outcome = Outcome(run, run.config(), None, result)
    for kind, figure in (
        ("accuracy", per_class_bars([outcome])),
        ("confusion", confusion_figure(outcome)),
    ):
        if figure is not None:
            tracking.picture(f"evaluation/{name}/{kind}", pixels(figure), episode=episode)


def _networks(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The networks of a result, and the plain backbone where it has one."""
    floor = result.get("floor")
    return {**result["networks"], **({"plain backbone": floor} if floor else {})}


def result_table(networks: Mapping[str, Mapping[str, Any]]) -> Table:
    """Make a table of accuracies with their intervals, a row for each network."""
    kinds = list(next(iter(networks.values()))["interval95"])
    columns = ["network", "accuracy"]
    columns += [f"{end}, {kind}" for kind in kinds for end in ("low", "high")]
    rows = []
    for name, found in networks.items():
        ends: list[Entry] = []
        for kind in kinds:
            ends += found["interval95"].get(kind) or [None, None]
        rows.append((name, found["accuracy"], *ends))
    return Table(tuple(columns), tuple(rows))


def class_table(networks: Mapping[str, Mapping[str, Any]]) -> Table:
    """Make a table of the accuracy of each class, a column for each network."""
    classes = sorted({name for found in networks.values() for name in found["per_class"]})
    rows = [
        (name, *(found["per_class"].get(name) for found in networks.values())) for name in classes
    ]
    return Table(("class", *networks), tuple(rows))


def confusion_figure(outcome: Outcome) -> Figure | None:
    """Draw the share of predictions of each class where it was a choice; None without results."""
    if outcome.chosen is None:
        return None
    confusion = outcome.chosen["confusion"]
    counts, offered = (np.array(confusion[key], float) for key in ("counts", "offered"))
    used = offered.diagonal() > 0
    shares = np.divide(counts, offered, out=np.zeros_like(counts), where=offered > 0)
    shares = shares[used][:, used]
    names = [label(name) for name, here in zip(confusion["classes"], used, strict=True) if here]
    with style():
        longest = max(map(len, names))
        side = 2.4 + min(PAGE - 2.4, 0.13 * len(names)) + 0.05 * longest
        figure = new_figure(side, side)
        axes = figure.subplots()
        shown = axes.imshow(100 * shares, vmin=0, vmax=100, cmap="cividis")
        axes.set_title(f"{label(outcome.name)}: predictions, percent")
        axes.set_xlabel("predicted")
        axes.set_ylabel("true class")
        written = names if len(names) <= NAMED_CLASSES else []
        axes.set_xticks(range(len(written)), written, rotation=90)
        axes.set_yticks(range(len(written)), written)
        figure.colorbar(shown, shrink=0.7)
    return figure


def pixels(figure: Figure) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a figure as pixels."""
    with style():
        canvas: Any = FigureCanvasAgg(figure)
        figure.set_dpi(150)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
