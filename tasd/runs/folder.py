"""A run is a folder of plain files: config, environment, metrics, checkpoints, results."""

import contextlib
import itertools
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tasd.config import Config
from tasd.errors import UserError
from tasd.files import DIGEST, naming, with_digest, without_digest, write_json, write_text
from tasd.foreign import path_part
from tasd.home import home
from tasd.runs.environment import environment
from tasd.runs.lock import LOCK
from tasd.runs.metrics import as_numbers, metrics_lines, metrics_text
from tasd.runs.rules import read_config


@dataclass(frozen=True)
class Run:
    """The names of the files in a run folder, and its metrics."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """last.pt, previous.pt, best.pt, episode-*.pt."""
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """The newest checkpoint, from which training resumes."""
        return self.checkpoints / "last.pt"

    @property
    def best(self) -> Path:
        """The best checkpoint on the validation classes, which is evaluated by default."""
        return self.checkpoints / "best.pt"

    @property
    def metrics(self) -> Path:
        """One JSON object a line, in the order of episodes."""
        return self.path / "metrics.jsonl"

    @property
    def evaluation(self) -> Path:
        """Results, one JSON file each."""
        return self.path / "evaluation"

    @property
    def figures(self) -> Path:
        """Pictures that tasd report draws."""
        return self.path / "figures"

    @property
    def unsaved_mark(self) -> Path:
        """An empty file from the beginning of a run to its first last.pt."""
        return self.checkpoints / ".unsaved"

    @property
    def unsaved(self) -> bool:
        """True where the run was begun and ended before its first last.pt.

        best.pt may be there already. A run whose last.pt was deleted later is not unsaved.
        """
        begun = (self.path / "config.json").exists() and not self.last.exists()
        return begun and (self.unsaved_mark.exists() or not any(self.checkpoints.glob("*.pt")))

    def claim(self, *, numbered: bool = False) -> "Run":
        """Make the folder of a new run, which no other process gets, and return the run.

        numbered: where the name is taken, the next one that is free: ``-2``, ``-3``. Else an
        empty folder is accepted, and one that a run left before it began. Raises `UserError`.
        """
        if not numbered:
            self.refuse_others()
        for number in itertools.count(1):
            path = self.path if number == 1 else Path(f"{self.path}-{number}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
            except FileExistsError:
                if numbered:
                    continue
            except OSError as error:
                raise UserError(
                    f"{path} cannot be made ({error.strerror}); choose another place with --out"
                ) from None
            return Run(path)
        raise AssertionError("numbers do not end")

    def refuse_others(self) -> None:
        """Raise `UserError` where the path is a file, a run, or a folder of other things."""
        if self.path.is_symlink() and not self.path.exists():
            raise UserError(f"{self.path} is a link to nothing; give another --out")
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UserError(f"{self.path} is a file, and a run is a folder; give another --out")
        if (self.path / "config.json").exists():
            raise UserError(
                f"{self.path} already holds a run; go on with it by --resume {self.path}, or give "
                "another --out"
            )
        own = {LOCK, "checkpoints", "environment.json", "metrics.jsonl"}
        other = sorted(p.name for p in self.path.iterdir() if p.name not in own)
        other = [name for name in other if not name.endswith(".writing")]
        other += sorted(f"checkpoints/{p.name}" for p in self.checkpoints.glob("*.pt"))
        if other:
            raise UserError(
                f"{self.path} holds other things ({other[0]} first); give --out a new folder"
            )

    def begin(self, config: Config, *, command: list[str], again: bool = False) -> None:
        """Write environment.json, then config.json, into a folder that is not a run yet.

        again: also into a run that was never saved, which then begins anew. Raises `UserError`.
        """
        if not (again and self.unsaved):
            self.refuse_others()
        self.metrics.unlink(missing_ok=True)
        write_json(self.path / "environment.json", environment(command), indent=2)
        write_text(self.unsaved_mark, "")
        self._write_config(config)

    def change(self, config: Config) -> None:
        """Write another config.json, of a run that is resumed with another length."""
        with contextlib.suppress(UserError):  # damaged: the checkpoints hold the config too
            if self.config() != config:
                self._write_config(config)

    def _write_config(self, config: Config) -> None:
        content = with_digest(json.loads(config.save_text()))
        write_json(self.path / "config.json", content, indent=2)

    def config(self) -> Config:
        """Read config.json and hold it against its digest. Raises `UserError`.

        Those of earlier versions have none.
        """
        path = self.path / "config.json"
        try:
            tree = json.loads(path.read_text())
            if isinstance(tree, dict):
                tree = self._as_written(path, tree)
            return read_config(tree, source=str(path))
        except FileNotFoundError:
            raise UserError(
                f"{self.path} is not a run (no config.json in it); a run is a folder that tasd "
                "train wrote"
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path} is not a run ({error}); a run is a folder that tasd train wrote"
            ) from None

    def _as_written(self, path: Path, tree: dict[str, Any]) -> dict[str, Any]:
        try:
            return without_digest(tree)[0]
        except ValueError as error:
            raise UserError(
                f"{path} is damaged ({error}); every checkpoint of the run holds the config too; "
                f'delete the line of "{DIGEST}" to use the file as it is'
            ) from None

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read all lines but damaged ones, see `tasd.runs.metrics`."""
        return [as_numbers(line.values) for line in metrics_lines(self.metrics)]

    def write_metrics(self, line: dict[str, Any]) -> None:
        """Append one line."""
        with naming(self.metrics), self.metrics.open("a") as file:
            file.write(metrics_text(line) + "\n")

    def sync_metrics(self) -> None:
        """Flush the file to the disk, so that a power cut leaves every line so far."""
        if self.metrics.exists():
            with self.metrics.open("rb") as file:
                os.fsync(file.fileno())

    def rewind_metrics(self, episode: int) -> None:
        """Drop all lines after ``episode``: training is about to repeat those steps."""
        lines = metrics_lines(self.metrics)
        kept = [line.text for line in lines if line.values["episode"] <= episode]
        write_text(self.metrics, "".join(text + "\n" for text in kept))


def new_path(config: Config) -> Path:
    """Name a new folder, ``runs/<dataset>-<recipe>-<way>w<shot>s-<time>`` below $TASD_HOME."""
    shape = f"{config.episode.way}w{config.episode.shot}s"
    names = f"{path_part(config.dataset)}-{path_part(config.recipe)}"
    time = datetime.now().strftime("%Y%m%d-%H%M%S")
    return runs_folder() / f"{names}-{shape}-{time}"


def runs_folder() -> Path:
    """The folder of all runs."""
    return home() / "runs"


def newest() -> Run:
    """Find the newest run that has a best checkpoint. Raises `UserError` where there is none."""
    found = _finished()
    if not found:
        raise UserError(
            f"no run in {runs_folder()} has a best checkpoint; train one with tasd train, or name "
            "a run with --run"
        )
    return max(found, key=_saved_at)


def newest_pretrained() -> Run | None:
    """Find the newest run with a best checkpoint that began from pretrained weights; else None.

    The run of ``tasd demo`` and runs on cached features are no such runs.
    """
    return max(filter(_pretrained, _finished()), key=_saved_at, default=None)


def _finished() -> list[Run]:
    """All runs that have a best checkpoint."""
    return [Run(path.parent.parent) for path in runs_folder().glob("*/checkpoints/best.pt")]


def _saved_at(run: Run) -> float:
    return run.best.stat().st_mtime


def _pretrained(run: Run) -> bool:
    try:
        config = run.config()
    except UserError:  # of another version
        return False
    on_features = config.data.features is not None
    return config.recipe != "demo" and config.network.weights != "none" and not on_features
