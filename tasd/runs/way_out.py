"""The way out where a checkpoint cannot be read: the one before it, by name."""

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from tasd.errors import UserError


def damaged(path: Path, error: Exception, *, whole: Callable[[Path], bool]) -> UserError:
    """Return the error of a checkpoint that cannot be read, with the newest one that can.

    whole: True where a file is a checkpoint that can be read.
    """
    reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
    before = next((other for other in _others(path) if whole(other)), None)
    return UserError(f"{path} is damaged or not a checkpoint ({reason}); {_offer(path, before)}")


@lru_cache(maxsize=64)
def remark(text: str) -> None:
    """Print a line on stderr, once."""
    print(f"tasd: {text}", file=sys.stderr)


def _others(path: Path) -> Iterator[Path]:
    """The other checkpoints of the run, those first from which training goes on."""
    folder = path.parent
    kept = sorted(folder.glob("episode-*.pt"), reverse=True)
    own = [folder / "previous.pt"] if path.name == "last.pt" else [folder / "last.pt"]
    for other in [*own, *kept, folder / "previous.pt", folder / "best.pt"]:
        if other != path and other.is_file():
            yield other


def _offer(path: Path, before: Path | None) -> str:
    if before is None:
        return "take another checkpoint"
    if path.name == "best.pt":
        return f"{before} is whole: --checkpoint {before} takes it, and --resume mends best.pt"
    if before.name == "best.pt":
        return f"only {before} is whole: it can be evaluated, and training begins again"
    return f"the checkpoint before it is there: --resume {before}"
