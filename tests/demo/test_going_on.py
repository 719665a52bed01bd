"""The demo refuses before it writes, and a demo that was stopped goes on to the same figures."""

import json
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from prep.lock import locked
from tasd.demo import run
from tasd.demo.folder import QUICK, Scale, opened
from tasd.errors import UserError
from tests import forks
from tests.demo.stopped import MOMENTS, small_demo


def quick_demo(out: Path, *, seed: int = 0, quick: bool = True, device: str = "cpu") -> None:
    run.demo(out, quick=quick, seed=seed, device=device, console=Console(quiet=True))


def begin(out: Path, *, seed: int = 0, scale: Scale = QUICK) -> None:
    with opened(out, seed=seed, quick=True, scale=scale):
        pass


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def refusal(folder: Path, out: Path, **options: object) -> str:
    """The message of a demo that is refused and writes nothing."""
    before = everything(folder)
    with pytest.raises(UserError) as raised:
        quick_demo(out, **options)
    assert everything(folder) == before
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_wrong_device_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    assert "--device gpu" in refusal(tmp_path, tmp_path / "demo", device="gpu")


def test_a_file_is_no_folder_for_a_demo(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    assert "is a file" in refusal(tmp_path, tmp_path / "demo")
    assert "cannot be written" in refusal(tmp_path, tmp_path / "demo" / "below")


@pytest.mark.parametrize("name", ["run", "store", "thesis.tex"])
def test_a_folder_with_files_of_others_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    message = refusal(tmp_path, tmp_path)
    assert f"({name} is in it)" in message
    assert "--out" in message


def test_an_empty_folder_or_one_with_the_picture_of_real_clips_will_do(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / "demo.json").unlink()
    (tmp_path / "real.png").write_bytes(b"a picture")
    (tmp_path / ".demo.json.1234.writing").write_text("cut off by a kill")
    begin(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "demo.json", "real.png"]


def test_a_demo_of_another_seed_or_length_is_refused(tmp_path: Path) -> None:
    begin(tmp_path, seed=3)
    message = refusal(tmp_path, tmp_path)
    assert "holds the demo of --seed 3 --quick, and this is that of --seed 0 --quick" in message
    assert "that of --seed 3;" in refusal(tmp_path, tmp_path, seed=3, quick=False)


def test_a_demo_that_another_version_began_is_refused(tmp_path: Path) -> None:
    begin(tmp_path, scale=Scale(per_class=4, episodes=4, validation_every=2))
    assert "another version of tasd" in refusal(tmp_path, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_two_demos_do_not_write_into_one_folder(tmp_path: Path) -> None:
    begin(tmp_path)
    with locked(tmp_path):
        message = refusal(tmp_path, tmp_path)
    assert f"process {os.getpid()}" in message
    assert "is running the demo in" in message
    assert "--out" in message


def test_ctrl_c_is_answered_with_the_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "generate", interrupt)
    with pytest.raises(SystemExit) as ended:
        run.demo(tmp_path, quick=True, seed=0, device="cpu", console=Console())
    assert ended.value.code == 130
    assert "the same command goes on" in capsys.readouterr().out


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "demo"
    small_demo(folder)
    return folder


def killed_at(moments: list[str], folder: Path) -> None:
    """Run a small demo that is killed at each of these moments, and then to its end."""
    words = [sys.executable, "-m", "tests.demo.stopped", str(folder), *moments]
    forks.run(words, cwd=Path(__file__).parents[2]).check_returncode()


LEARNT = ("loss", "accuracy", "student", "teacher", "gradient_norm", "terms")


def figures(folder: Path) -> list[object]:
    """All that a demo found out, without times and places."""
    results = [json.loads(path.read_text()) for path in folder.glob("run/evaluation/*.json")]
    steps = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    return [
        json.loads((folder / "outcome.json").read_text()),
        [result["networks"] for result in results],
        # Training that goes on from episode 0 validates there once more.
        {(s["episode"], s["kind"]): [s.get(name) for name in LEARNT] for s in steps},
        [path.read_bytes() for path in sorted(folder.glob("store/shard-*.h5"))],
        (folder / "episode.png").read_bytes(),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "moments",
    [
        ["amid the videos", "amid the store", "amid training", "amid the test"],
        pytest.param(list(MOMENTS), marks=pytest.mark.long),
    ],
    ids=["amid each stage", "amid and between all stages"],
)
def test_a_demo_that_is_killed_goes_on_to_the_same_figures(
    tmp_path: Path, undisturbed: Path, moments: list[str]
) -> None:
    killed_at(moments, tmp_path / "demo")
    assert figures(tmp_path / "demo") == figures(undisturbed)
    assert not list((tmp_path / "demo").rglob(".*.writing"))


def test_a_demo_that_is_whole_tells_its_figures_again_and_writes_nothing(undisturbed: Path) -> None:
    before = everything(undisturbed)
    again = small_demo(undisturbed)
    assert {**before, str(undisturbed / ".lock"): b""} == {
        **everything(undisturbed),
        str(undisturbed / ".lock"): b"",
    }
    assert again.accuracies.keys() >= {"untrained", "student", "teacher"}
    assert all((undisturbed / name).exists() for name in again.files)
