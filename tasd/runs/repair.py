"""The checkpoints of a run agree: around each save, and after one that a kill cut short."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tasd.errors import UserError
from tasd.runs.checkpoint import Best, Checkpoint, link, load
from tasd.runs.folder import Run


def best_before(run: Run) -> None:
    """Keep the best so far under another name until last.pt speaks of the new one."""
    if run.best.exists():
        link(run.best, _aside(run))


def saved(run: Run) -> None:
    """Note that last.pt speaks of what is there."""
    _aside(run).unlink(missing_ok=True)
    run.unsaved_mark.unlink(missing_ok=True)


def repair(run: Run, last: Checkpoint) -> tuple[Best, str]:
    """Make best.pt what ``last``, the checkpoint to resume from, says that it is.

    It is missing or older where a kill, or a person, came between; newer where a kill came just
    before last.pt was written. Returns the best, which is another where none of the files holds
    it, and what was mended, empty where nothing was.
    """
    said = last.progress.best
    if said.accuracy < 0 or _best_of(run.best) == said:
        saved(run)
        return said, ""
    if _best_of(_aside(run)) == said:
        _aside(run).replace(run.best)
        return said, f"{run.best} was of episodes that are now repeated; the one before is back"
    for source in _sources(run, last):
        source.light().save(run.best)
        return said, f"{run.best} was missing or older; written again for episode {said.episode:,}"
    found = _best_of(run.best)
    kept = found if found is not None and found.episode <= last.progress.episode else Best()
    return kept, (
        f"no checkpoint holds the best, of episode {said.episode:,}; "
        + (
            f"best.pt is of episode {kept.episode:,}"
            if kept.accuracy >= 0
            else "the next is the best"
        )
    )


def newest_finite(run: Run) -> str:
    """Say which checkpoint is the newest whose weights are finite, for messages."""
    for path in (run.last, run.checkpoints / "previous.pt", *_kept(run)):
        if path.is_file():
            with contextlib.suppress(UserError):
                if load(path).infinite is None:
                    return f"the last good checkpoint is {path}"
    return "none was saved"


def _sources(run: Run, last: Checkpoint) -> Iterator[Checkpoint]:
    """Checkpoints with the networks of the best."""
    said = last.progress.best
    if last.progress.episode == said.episode:
        yield last
    for path in (
        run.checkpoints / f"episode-{said.episode:06d}.pt",
        run.checkpoints / "previous.pt",
    ):
        with contextlib.suppress(UserError):
            found = load(path)
            if found.progress.episode == said.episode and found.progress.best == said:
                yield found


def _best_of(path: Path) -> Best | None:
    """The best that a file is; None where it is missing or damaged."""
    try:
        return load(path).progress.best
    except UserError:
        return None


def _kept(run: Run) -> list[Path]:
    return sorted(run.checkpoints.glob("episode-*.pt"), reverse=True)


def _aside(run: Run) -> Path:
    return run.checkpoints / ".best.pt.before"
