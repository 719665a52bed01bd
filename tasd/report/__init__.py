"""Tables and figures of runs; `write_report` leaves out those that the runs have no data for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasd.errors import UserError
from tasd.files import write_text
from tasd.report.attention import attention_figure, kept_checkpoints
from tasd.report.curves import training_curves
from tasd.report.latex import latex
from tasd.report.outcome import Outcome, read_outcome
from tasd.report.page import html_page
from tasd.report.per_class import per_class_bars
from tasd.report.pictures import Picture
from tasd.report.sections import page_sections
from tasd.report.style import save, style
from tasd.report.tables import markdown, tables
from tasd.runs import checkpoint
from tasd.runs.stores import find_store
from tasd.store import Store

__all__ = ["OverlayOptions", "Report", "write_report"]


@dataclass(frozen=True)
class OverlayOptions:
    """Options of the attention overlays; what is left open is chosen from the run and its store.

    class_name: the class that is shown. video: the id of the video that is shown.
    checkpoints: of the first run. store: the store of its videos; the page takes frames from it.
    """

    class_name: str | None = None
    video: str | None = None
    checkpoints: tuple[Path, ...] = ()
    store: Path | None = None

    @property
    def requested(self) -> bool:
        """True where an option was given: overlays that cannot be drawn are then an error."""
        return bool(self.class_name or self.video or self.checkpoints)


@dataclass(frozen=True)
class Report:
    """The files of a report, and notes on what was left out and why."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def write_report(runs: Sequence[Path], folder: Path, options: OverlayOptions) -> Report:
    """Write tables, figures and the HTML page into ``folder``. Raises `UserError`."""
    outcomes = [read_outcome(path) for path in runs]
    store = None if options.store is None else Store(options.store)  # before anything is drawn
    made, notes = tables(outcomes), [f"{o.name} was not tested" for o in outcomes if not o.result]
    overlays = _overlays(outcomes[0], folder, options)
    notes += [overlays] if isinstance(overlays, str) else []
    pictures = [
        *_bars(outcomes, folder),
        *(overlays if isinstance(overlays, list) else []),
        *_curves(outcomes, folder),
    ]
    parts = page_sections(outcomes, made, pictures, store=store)
    texts = {
        "tables.md": "\n".join(map(markdown, made)),
        "tables.tex": "\n".join(map(latex, made)),
        "report.html": html_page(_title(outcomes), parts, notes),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    files = [picture.path for picture in pictures] + [folder / name for name in texts]
    return Report(tuple(files), tuple(notes))


def _title(outcomes: Sequence[Outcome]) -> str:
    return outcomes[0].name if len(outcomes) == 1 else f"{len(outcomes)} runs"


def _curves(outcomes: Sequence[Outcome], folder: Path) -> list[Picture]:
    pictures = []
    for outcome in outcomes:
        with style():
            figure = training_curves(outcome)
            if figure is not None:
                path = save(figure, folder, f"curves-{outcome.name}")
                pictures.append(Picture(path, f"{outcome.name}: training"))
    return pictures


def _bars(outcomes: Sequence[Outcome], folder: Path) -> list[Picture]:
    with style():
        figure = per_class_bars(outcomes)
        if figure is None:
            return []
        path = save(figure, folder, "per_class")
        return [Picture(path, "Accuracy of each test class", on_page=False)]


def _overlays(outcome: Outcome, folder: Path, options: OverlayOptions) -> list[Picture] | str:
    """Draw the attention overlays, or return the reason why there are none."""
    paths = options.checkpoints or tuple(kept_checkpoints(outcome))
    try:
        if not paths:
            raise UserError(f"{outcome.name} has no checkpoint; overlays need a run with one")
        saved = checkpoint.load(paths[0])
        if saved.config.data.features is not None:
            raise UserError(
                f"{paths[0]} was trained on cached features; attention overlays need a "
                "network that was trained on frames"
            )
        with find_store(options.store, saved) as store, style():
            assert isinstance(store, Store)
            figure = attention_figure(
                paths, store, class_name=options.class_name, video=options.video
            )
            path = save(figure, folder, f"attention-{outcome.name}")
    except UserError as error:
        if options.requested:
            raise
        return f"no attention overlays: {error}"
    return [Picture(path, f"{outcome.name}: attention of student and teacher (Eq. 4)")]
