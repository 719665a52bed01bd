"""The rehearsal at full size, itself rehearsed on a hundredth of HMDB51."""

import functools
import json
import math
import sys

import pytest

from tests import forks, rehearse
from tests.official_names import CLIPS, official_names
from tests.watched import disk, watch

OFFICIAL = {"ucf101": (13_320, 101), "hmdb51": (6_766, 51), "kinetics": (10_000, 100)}


def test_the_names_are_as_many_as_the_data_sets_have(shared):
    for dataset in CLIPS:
        names = list(official_names(dataset, shared))
        videos, classes = OFFICIAL[dataset]
        assert len(set(names)) == len(names) == videos
        assert len({name.partition("/")[0] for name in names}) == classes
    groups = {name.rpartition("_c")[0] for name in official_names("ucf101", shared)}
    assert len(groups) == 101 * 25
    assert "HandstandPushups/v_HandStandPushups_g01_c01" in official_names("ucf101", shared)


def test_a_share_has_all_classes_and_fewer_videos(shared):
    for dataset, (videos, classes) in OFFICIAL.items():
        names = list(official_names(dataset, shared, share=0.1))
        assert len(names) == pytest.approx(videos / 10, rel=0.05)
        assert len({name.partition("/")[0] for name in names}) == classes


def test_the_queries_of_training_are_those_of_the_smallest_class(shared):
    assert rehearse.queries_of("ucf101", shared, share=1.0) == 5
    assert rehearse.queries_of("hmdb51", shared, share=0.04) == 3
    assert rehearse.queries_of("kinetics", shared, share=0.001) == 1


def test_exponents_leave_out_what_every_run_takes():
    assert rehearse.growth([100, 200], [3.0, 6.0]) == pytest.approx(1)
    assert rehearse.growth([100, 200, 400], [5 + 1.0, 5 + 4.0, 5 + 16.0]) == pytest.approx(2)
    assert math.isnan(rehearse.growth([100, 200, 400], [5.0, 5.0, 6.0]))


def test_a_command_is_watched_with_the_processes_below_it(tmp_path):
    words = "x = bytearray(60 << 20); import time; time.sleep(1.5)"
    below = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {words!r}], check=True)"
    seen = watch([sys.executable, "-c", below], env={}, log=tmp_path / "log")
    assert seen.seconds > 1.4
    assert seen.cpu > 0
    assert seen.memory > 60 << 20
    assert seen.files >= 4
    with pytest.raises(SystemExit, match="ended with 3"):
        watch([sys.executable, "-c", "exit(3)"], env={}, log=tmp_path / "log")


def test_a_file_with_two_names_is_on_the_disk_once(tmp_path):
    (tmp_path / "one").write_bytes(bytes(1 << 20))
    before = disk(tmp_path)
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert disk(tmp_path) == before >= 1 << 20


SMALL = ["--size", "64", "--crop", "32", "--episodes", "2", "--tested", "50"]


@pytest.mark.timeout(900)
def test_a_small_share_goes_through_all_stages_and_goes_on_where_it_stopped(
    shared, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TASD_TEST_DATA", str(shared))
    monkeypatch.setattr(rehearse, "watch", functools.partial(watch, start=forks.Fork))
    words = [str(tmp_path), "--dataset", "hmdb51", "--share", "0.01", *SMALL]
    rehearse.main(words)
    said = capsys.readouterr().out
    rows = [line for line in said.splitlines() if line.startswith("| hmdb51, 0.01 | 10")]
    assert [row.split(" | ")[2] for row in rows] == list(rehearse.STAGES)
    notes = tmp_path / "hmdb51-0.01" / "stages.json"
    found = json.loads(notes.read_text())
    assert min(found[stage]["memory"] for stage in rehearse.STAGES[1:]) > 20 << 20
    del found["report"]
    notes.write_text(json.dumps(found))
    rehearse.main(words)
    again = capsys.readouterr().out
    assert again.startswith("hmdb51, 0.01 of its videos: report\n")
    assert "of its videos: train" not in again


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("dataset", CLIPS)
def test_a_whole_data_set_goes_through_all_stages(dataset, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("TASD_TEST_DATA", str(shared))
    rehearse.main([str(tmp_path), "--dataset", dataset])
