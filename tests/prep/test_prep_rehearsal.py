"""`tasd prep --dry-run`: what a prep would make, from a few videos, and nothing written."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prep import rehearsal
from tasd.cli.app import app
from tasd.errors import UserError
from tests.videos import make_tree


@pytest.fixture
def root(tmp_path: Path, clips: dict[str, Path]) -> Path:
    root = make_tree(tmp_path / "videos", clips["h264_forty.mp4"], classes=6, videos=5)
    (root / "class 01" / "broken.mp4").write_bytes(b"no video")
    (root / "class 02" / "notes.txt").write_text("left out")
    return root


def prep(root: Path, *words: str) -> str:
    own = ["prep", "folder", "--root", str(root), "--store", str(root.parent / "store")]
    sizes = ["--size", "64", "--frames", "4", "--workers", "1"]
    said = CliRunner().invoke(app, [*own, *sizes, *words])
    if isinstance(said.exception, UserError):
        raise said.exception
    assert said.exit_code == 0, said.output
    return said.stdout


def test_a_dry_run_tells_what_the_prep_makes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(root.parent.rglob("*"))
    monkeypatch.setattr(rehearsal, "SAMPLE", 20)
    told = json.loads(prep(root, "--dry-run", "--json"))
    assert sorted(root.parent.rglob("*")) == before
    assert told["videos"] == 31
    assert told["sample"]["videos"] == 20
    assert told["hours"] > 0
    report = json.loads(prep(root, "--json"))
    assert len(report["classes"]) == len(told["classes"])
    store = root.parent / "store"
    manifest = json.loads((store / "manifest.json").read_text())
    made = {name: len(names) for name, names in manifest["splits"].items()}
    assert made == told["splits"]
    size = sum(path.stat().st_size for path in store.glob("shard-*.h5"))
    assert told["store_bytes"] == pytest.approx(size, rel=0.25)
    again = json.loads(prep(root, "--dry-run", "--json"))
    assert again["kept"] == again["videos"]
    assert again["seconds"] == 0


def test_a_dry_run_is_told_in_words(root: Path) -> None:
    said = prep(root, "--dry-run")
    for words in ("nothing is written", "31 videos in 6 classes", "classes     train ", "free"):
        assert words in said
    assert "too few     for 1-shot episodes with 5 queries: " in said


def test_a_dry_run_tells_all_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        prep(tmp_path / "no", "--dry-run", "--split-file", str(tmp_path / "nothing"))
    assert len(error.value.lines) == 2
