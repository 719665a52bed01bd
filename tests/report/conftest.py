"""A run that was really trained and tested, on the smallest network and a store of pictures."""

import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import tasd.report
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.evaluation.results import write_document
from tasd.extraction.run import Extraction
from tasd.report.outcome import Outcome, read_outcome
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.store import Store
from tests.runs import small_config, small_run


@pytest.fixture(scope="session")
def tested_home(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with a store, and a run that was tested on 40 episodes; do not write there."""
    home = tmp_path_factory.mktemp("home")
    (home / "stores").mkdir()
    (home / "stores" / "folder").symlink_to(small_store)
    (home / "runs").mkdir()
    run = Run(home / "runs" / "tested")
    small_run(small_store, run.path, small_config(recipe="baseline", episodes=4))
    saved = load(run.best)
    candidate = of_run(run, saved, Store(small_store), Extraction(), source=run.best)
    found = evaluate(candidate, EpisodeRequest(way=5, shot=1, queries=2, count=40))
    write_document(run.evaluation / f"{found.name}.json", found.content)
    return home


@pytest.fixture
def home(tested_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `tested_home` to write into; it is $TASD_HOME."""
    copy = tmp_path / "home"
    shutil.copytree(tested_home, copy, symlinks=True)
    monkeypatch.setenv("TASD_HOME", str(copy))
    return copy


@pytest.fixture
def coarse_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save figures coarsely and without their PDFs, for tests that look at the page alone."""

    def coarse(figure: Figure, folder: Path, name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.png", dpi=30)
        return folder / f"{name}.png"

    monkeypatch.setattr(tasd.report, "save", coarse)


@pytest.fixture
def outcome(home: Path) -> Outcome:
    return read_outcome(home / "runs" / "tested")
