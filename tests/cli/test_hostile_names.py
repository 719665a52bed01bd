"""A class whose name holds escapes, a formula and markup, through the commands that print it."""

import sys

import pytest

from tasd.__main__ import main
from tests import stores

EVIL = "\x1b]0;t\x07\x1b[31m[red]$x_{$=1+1<b>\x9b2J\u202e"
SMALL = "--recipe baseline --backbone resnet8 --weights none --crop 64 --episodes 2 --way 5"
SMALL += " --queries 1 --device cpu --loader torch --set data.frames=2"
SMALL += " --set training.validation_episodes=2"


@pytest.fixture
def tasd(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command and returns what it printed."""
    splits = {split: (f"{EVIL} {split}", *names[1:]) for split, names in stores.SPLITS.items()}
    monkeypatch.setattr(stores, "SPLITS", splits)
    stores.write_store(tmp_path / "stores" / "e", videos=3, frames=4)
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["tasd", *words])
        with pytest.raises(SystemExit):
            main()
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run


def test_no_command_prints_an_escape(tasd, tmp_path):
    printed = [
        tasd("show", "stores/e"),
        tasd("show", "stores/e", "--video", f"{EVIL} test/v0", "--out", "o.png"),
        tasd("show", "stores/e", "--video", EVIL),
        tasd("train", *SMALL.split(), "--queries", "9"),
        tasd("train", *SMALL.split(), "--out", "r"),
        tasd("show", "r"),
        tasd("evaluate", "--run", "r", "--episodes", "5", "--device", "cpu"),
        tasd("evaluate", "--run", "r", "--queries", "9", "--device", "cpu"),
        tasd("report", "r"),
        tasd("predict", "--support", EVIL, "--backbone", EVIL, "--matcher", EVIL),
        tasd("prep", EVIL, "--root", EVIL),
    ]
    for text in printed:
        assert not set(text) & set("\x1b\x07\x9b\u202e"), ascii(text)
    assert sum("\\x1b" in text for text in printed) >= 6
    assert (tmp_path / "r" / "figures" / "tables.md").exists()
    for name in ("tables.md", "report.html"):
        assert "1<b>" not in (tmp_path / "r" / "figures" / name).read_text("utf-8")
