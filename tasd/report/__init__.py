"""Tables and figures of runs: `write_report` draws all that there is something to draw of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasd.errors import UserError
from tasd.files import write_text
from tasd.report.attention import attention_figure, kept_checkpoints
from tasd.report.curves import training_curves
from tasd.report.outcome import Outcome, read_outcome
from tasd.report.page import Picture, page
from tasd.report.per_class import per_class_bars
from tasd.report.style import save, style
from tasd.report.tables import latex, markdown, tables
from tasd.runs import checkpoint
from tasd.runs.stores import find_store
from tasd.store import Store

__all__ = ["Look", "Written", "write_report"]


@dataclass(frozen=True)
class Look:
    """What the attention overlays show; the defaults take what there is.

    checkpoints: of the first run. store: where its videos are.
    """

    class_name: str | None = None
    video: str | None = None
    checkpoints: tuple[Path, ...] = ()
    store: Path | None = None

    @property
    def asked(self) -> bool:
        """Whether a person asked for the overlays: then their absence is an error."""
        return bool(self.class_name or self.video or self.checkpoints or self.store)


@dataclass(frozen=True)
class Written:
    """The files of a report, and what was left out and why."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def write_report(runs: Sequence[Path], folder: Path, look: Look) -> Written:
    """Draw and write everything into ``folder``. Raises `UserError`."""
    outcomes = [read_outcome(path) for path in runs]
    made, notes = tables(outcomes), [f"{o.name} was not tested" for o in outcomes if not o.result]
    overlays = _overlays(outcomes[0], folder, look)
    notes += [overlays] if isinstance(overlays, str) else []
    pictures = [
        *_bars(outcomes, folder),
        *(overlays if isinstance(overlays, list) else []),
        *_curves(outcomes, folder),
    ]
    texts = {
        "tables.md": "\n".join(map(markdown, made)),
        "tables.tex": "\n".join(map(latex, made)),
        "report.html": page(_title(outcomes), outcomes, made, pictures, notes),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    files = [picture.path for picture in pictures] + [folder / name for name in texts]
    return Written(tuple(files), tuple(notes))


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
        return [Picture(save(figure, folder, "per_class"), "Accuracy of each class under test")]


def _overlays(outcome: Outcome, folder: Path, look: Look) -> list[Picture] | str:
    """The attention overlays, or why there are none."""
    paths = look.checkpoints or tuple(kept_checkpoints(outcome))
    if not paths and not look.asked:
        return f"{outcome.name} has no checkpoint: no attention overlays"
    try:
        with find_store(look.store, checkpoint.load(paths[0])) as store, style():
            if not isinstance(store, Store):
                raise UserError(f"{paths[0]} was trained on cached features: it sees no frames")
            figure = attention_figure(paths, store, class_name=look.class_name, video=look.video)
            path = save(figure, folder, f"attention-{outcome.name}")
    except UserError as error:
        if look.asked:
            raise
        return f"no attention overlays: {error}"
    return [Picture(path, f"{outcome.name}: where student and teacher look (Eq. 4)")]
