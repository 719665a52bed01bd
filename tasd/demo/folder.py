"""The folder of a demo: what lies where in it, which demo it holds, and who may write there."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from prep.lock import LOCK, locked
from tasd.errors import UserError
from tasd.files import read_json, write_json
from tasd.store import MANIFEST

SETTINGS = "demo.json"
PICTURE = "real.png"  # of `tasd demo --real`, which may come first
FORMAT, VERSION = "tasd-demo", 1


@dataclass(frozen=True)
class Scale:
    """The size of a demo: videos of each class, episodes of training and of the test."""

    per_class: int
    episodes: int
    validation_every: int
    test_episodes: int = 10_000


FULL = Scale(per_class=20, episodes=400, validation_every=100)
QUICK = Scale(per_class=12, episodes=40, validation_every=20)


@dataclass(frozen=True)
class DemoFolder:
    """The places in the folder of a demo; each stage is done when its last file is there."""

    path: Path

    @property
    def store(self) -> Path:
        """The prepared store."""
        return self.path / "store"

    @property
    def prepared(self) -> bool:
        """True where the store is complete."""
        return (self.store / MANIFEST).exists()

    @property
    def run(self) -> Path:
        """The run of training, with its evaluation."""
        return self.path / "run"

    @property
    def outcome(self) -> Path:
        """The figures of a demo that has come to its end; written last."""
        return self.path / "outcome.json"


@contextlib.contextmanager
def opened(out: Path, *, seed: int, quick: bool, scale: Scale) -> Iterator[DemoFolder]:
    """Open the folder of a new demo, or of the same demo that was stopped, for this process alone.

    Raises `UserError` before anything is written where ``out`` is a file, holds anything else, or
    another demo.
    """
    settings = {"seed": seed, "quick": quick, "scale": asdict(scale)}
    _refuse_others(out, settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / LOCK).touch()
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror}); name another folder with --out"
        ) from None
    with locked(out, doing="running the demo in", option="--out"):
        for path in out.rglob(".*.writing"):  # of a process that was killed
            path.unlink()
        if not (out / SETTINGS).exists():
            content = {"format": FORMAT, "version": VERSION, **settings}
            write_json(out / SETTINGS, content, indent=2)
        yield DemoFolder(out)


def check_folder(out: Path) -> None:
    """Raise `UserError` where ``out`` is a file, or holds anything that no demo wrote."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a new folder with --out")
    if not out.exists() or (out / SETTINGS).exists():
        return
    own = {PICTURE, LOCK}
    others = (p.name for p in out.iterdir() if p.name not in own and not p.match(".*.writing"))
    if found := min(others, default=None):
        raise UserError(
            f"{out} is not empty ({found} is in it) and holds no demo; name a new folder with "
            "--out, or empty this one"
        )


def _refuse_others(out: Path, settings: dict[str, object]) -> None:
    check_folder(out)
    if not (out / SETTINGS).exists():
        return
    way_out = "name another folder with --out, or delete this one"
    held = read_json(
        out / SETTINGS, format=FORMAT, version=VERSION, what="a demo of tasd", way_out=way_out
    )
    if any(held.get(name) != settings[name] for name in ("seed", "quick")):
        raise UserError(
            f"{out} holds the demo of {_options(held)}, and this is that of {_options(settings)}; "
            "go on with the first by its options, or name another folder with --out"
        )
    if held.get("scale") != settings["scale"]:
        raise UserError(f"{out} holds a demo that another version of tasd began; {way_out}")


def _options(settings: dict[str, object]) -> str:
    return f"--seed {settings.get('seed')}" + (" --quick" if settings.get("quick") else "")
