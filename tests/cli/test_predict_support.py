"""`tasd predict --learn`, `--forget`, `--suggest` and support files, as a person uses them."""

import shutil

import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError


@pytest.fixture
def predict(empty_home, support, resnet8_weights):
    def called(*words, support=support):
        named = ["--backbone", "resnet8", "--weights", resnet8_weights, "--device", "cpu"]
        words = ["predict", *named, "--support", support, *words]
        result = CliRunner().invoke(app, list(map(str, words)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return called


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_clip_becomes_an_example_and_moves_when_corrected(predict, support, clips):
    new = clips / "motion_jpeg.avi"
    assert "motion_jpeg.avi copied to" in predict("--learn", "jumping", new).stdout
    assert (support / "jumping" / "motion_jpeg.avi").read_bytes() == new.read_bytes()
    assert "already" in predict("--learn", "jumping", new).stdout
    moved = predict("--learn", "sleeping", new).stdout
    assert f"moved to {support / 'sleeping' / 'motion_jpeg.avi'}" in moved
    assert not (support / "jumping" / "motion_jpeg.avi").exists()
    assert new.exists()
    again = predict(clips / "vp9.webm", "--json")
    assert "features of 1 of 4 from the cache" in again.stderr  # the one that was learnt


def test_another_clip_of_the_same_name_is_not_overwritten(predict, support, clips, tmp_path):
    before = (support / "waving" / "vp9.webm").read_bytes()
    other = tmp_path / "vp9.webm"
    shutil.copy(clips / "mpeg4.avi", other)
    other.write_bytes(other.read_bytes() + b"\0")
    line = predict("--learn", "waving", other).stdout
    assert "under a new name" in line
    assert (support / "waving" / "vp9.webm").read_bytes() == before
    assert (support / "waving" / "vp9-2.webm").read_bytes() == other.read_bytes()


def test_what_is_forgotten_is_put_aside_and_nothing_is_deleted(predict, support):
    content = (support / "waving" / "vp9.webm").read_bytes()
    predict("--forget", support / "waving" / "vp9.webm")
    assert (support / ".forgotten" / "waving" / "vp9.webm").read_bytes() == content
    predict("--forget", "jumping")
    assert files(support) == [
        ".forgotten/jumping/h264_forty.mp4",
        ".forgotten/waving/vp9.webm",
        "waving/mpeg4.avi",
    ]


def test_an_unreadable_clip_is_not_learnt(predict, support, clips, tmp_path):
    (tmp_path / "empty.mp4").touch()
    before = files(support)
    with pytest.raises(UserError, match="no clip can be learnt as 'waving'"):
        predict("--learn", "waving", tmp_path / "empty.mp4")
    assert files(support) == before
    result = predict("--learn", "waving", tmp_path / "empty.mp4", clips / "motion_jpeg.avi")
    assert "not learnt" in result.stderr
    assert "motion_jpeg.avi copied" in result.stdout


def test_a_support_begins_with_its_first_clip(predict, clips, tmp_path):
    for place in (tmp_path / "begun", tmp_path / "begun.safetensors"):
        predict("--learn", "a", clips / "vp9.webm", support=place)
        predict("--learn", "b", clips / "mpeg4.avi", support=place)
        result = predict(clips / "mpeg4.avi", support=place)
        assert "mpeg4.avi  b " in result.stdout


def test_a_support_file_is_written_read_and_edited(predict, support, clips, tmp_path):
    file = tmp_path / "mine.safetensors"
    assert str(file) in predict("--save-support", file).stderr
    expected = predict(clips, "--csv").stdout
    assert predict(clips, "--csv", support=file).stdout == expected
    learnt = predict("--learn", "sleeping", clips / "motion_jpeg.avi", support=file).stdout
    assert "is an example of sleeping" in learnt
    assert "no longer of sleeping" in (
        predict("--learn", "jumping", clips / "motion_jpeg.avi", support=file).stdout
    )
    predict("--forget", clips / "motion_jpeg.avi", support=file)
    assert predict(clips, "--csv", support=file).stdout == expected
    before = file.read_bytes()
    with pytest.raises(UserError, match="is no example"):
        predict("--forget", "nothing", support=file)
    assert file.read_bytes() == before


def test_suggestions_are_the_least_certain_clips(predict, clips):
    lines = predict(clips, "--suggest", 2).stdout.splitlines()
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--learn", "a"], "no clip to learn; name the clips of 'a'"),
        (["--learn", "../a", "x.mp4"], r"--learn '\.\./a' cannot be the name of a class"),
        (["--learn", "", "x.mp4"], "cannot be the name of a class"),
        (["--learn", "a", "--forget", "b", "x.mp4"], "two changes"),
        (["--learn", "a", "x.mp4", "--json"], "--json labels clips, and --learn changes"),
        (["--forget", "a", "x.mp4"], "leave out x.mp4"),
        (["--forget", "nothing"], "neither a class nor a clip .* jumping, waving"),
        (["--forget", ".."], "neither a class nor a clip"),
        (["--suggest", "0", "x.mp4"], "--suggest 0 asks for no clip"),
        (["--suggest", "1", "--window", "2", "x.mp4"], "leave out --window and --watch"),
        (["--save-support", "mine.bin"], r"must end in \.safetensors"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(predict, support, words, message):
    before = files(support)
    with pytest.raises(UserError, match=message) as raised:
        predict(*words)
    assert "\n" not in str(raised.value)
    assert files(support) == before
