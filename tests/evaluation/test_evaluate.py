"""`tasd evaluate` and `tasd features`, with runs and with feature files."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.cli.options import seeds_of
from tasd.episodes.files import load_episodes
from tasd.errors import UserError
from tasd.evaluation.results import split_hash
from tasd.features.reader import open_features
from tasd.report.outcome import read_outcome
from tests.result_files import newest, plain
from tests.runs import small_config, small_run


@pytest.fixture(scope="module")
def home(small_store, tmp_path_factory) -> Path:
    """$TASD_HOME with a store and two runs, the one with a teacher being the newer."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "stores").mkdir()
    (folder / "stores" / "folder").symlink_to(small_store)
    (folder / "runs").mkdir()
    for age, recipe in enumerate(("tasd", "baseline")):
        run = folder / "runs" / recipe
        small_run(small_store, run, small_config(recipe=recipe, episodes=4))
        os.utime(run / "checkpoints" / "best.pt", (2e9 - age, 2e9 - age))
    return folder


@pytest.fixture
def tasd(home, monkeypatch):
    """Run a command; return its output, or raise its error."""
    monkeypatch.setenv("TASD_HOME", str(home))

    def tasd(*words: object) -> str:
        said = CliRunner().invoke(app, [str(word) for word in words])
        if isinstance(said.exception, UserError):
            raise said.exception
        assert said.exit_code == 0, said.output
        return said.output

    return tasd


def result(path: Path) -> dict:
    return json.loads(path.read_text())


def test_bare_evaluate_takes_the_newest_run_and_says_which(tasd, home):
    said = tasd("evaluate", "--episodes", 60)
    assert f"the newest run with a best checkpoint: {home / 'runs' / 'tasd'}" in said
    assert (
        "test: 5 classes, 30 videos; 60 episodes, 5-way 1-shot, 1 query per class, seed 0" in said
    )
    assert "student" in said
    assert "teacher" in said
    assert newest(home / "runs/tasd/evaluation", "test-5w1s-1q-60e-seed0").exists()


def test_a_result_names_everything_it_depends_on(tasd, home):
    tasd("evaluate", "--episodes", 30, "--queries", 2)
    content = result(newest(home / "runs/tasd/evaluation", "test-5w1s-2q-30e-seed0"))
    origin = content["provenance"]
    assert len(origin["checkpoint"]["sha256"]) == 64
    assert len(origin["store_sha256"]) == 64
    assert origin["split"]["classes"] == 5
    assert len(origin["split"]["sha256"]) == 64
    assert origin["config"]["recipe"] == "tasd"
    assert origin["code"]["tasd"]
    assert origin["command"]
    assert origin["trained_and_tested"] == []
    assert content["episodes"]["seed"] == 0
    assert set(content["networks"]) == {"student", "teacher"}
    for said in content["networks"].values():
        assert len(said["correct"]) == 30
        assert said["accuracy"] == pytest.approx(sum(said["correct"]) / 300)
        assert np.sum(said["confusion"]["counts"]) == 300
        assert len(said["per_class"]) == 5
        low, high = said["interval95"]["sampling of episodes only"]
        assert low <= said["accuracy"] <= high
        assert said["interval95"]["other classes"] is None  # 5-way of 5 classes: all are there


def test_features_are_made_once_and_used_again(tasd, home):
    tasd("evaluate", "--episodes", 10)
    folder = home / "runs/tasd/features"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(before) >= 2
    tasd("evaluate", "--episodes", 20)
    tasd("features")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    made = open_features(next(iter(before)))
    assert len(made.trained_on) == 6
    assert made.groups is not None
    tasd("features", "--maps", "--network", "student")
    added = [path for path in folder.iterdir() if path not in before]
    assert [open_features(path).maps is not None for path in added] == [True]


def test_student_alone_is_the_student_of_both(tasd, home, tmp_path):
    both = json.loads(tasd("evaluate", "--episodes", 40, "--json", "--run", home / "runs/tasd"))
    one = json.loads(
        tasd(
            "evaluate",
            "--episodes",
            40,
            "--json",
            "--run",
            home / "runs/tasd",
            "--network",
            "student",
        )
    )
    assert list(one["networks"]) == ["student"]
    assert one["networks"]["student"] == both["networks"]["student"]
    with pytest.raises(UserError, match=r"has no teacher, only student; leave out --network"):
        tasd("evaluate", "--run", home / "runs/baseline", "--network", "teacher")


def test_episodes_that_were_saved_are_evaluated_again(tasd, tmp_path):
    saved, one, two = (tmp_path / name for name in ("episodes.json", "one.json", "two.json"))
    tasd("evaluate", "--episodes", 25, "--seed", 5, "--save-episodes", saved, "--out", one)
    tasd("evaluate", "--episodes-file", saved, "--out", two)
    assert len(load_episodes(saved)) == 25
    assert result(one)["networks"] == result(two)["networks"]
    assert result(one)["episodes"] == result(two)["episodes"]


def test_several_seeds_give_a_result_each_and_their_mean(tasd, home):
    said = tasd("evaluate", "--episodes", 15, "--seeds", "3-5", "--run", home / "runs/baseline")
    assert "baseline student, mean over 3 seeds:" in said
    files = sorted((home / "runs/baseline/evaluation").glob("test-5w1s-1q-15e-seed*.json"))
    assert [result(path)["episodes"]["seed"] for path in files] == [3, 4, 5]
    assert len({result(path)["episodes"]["sha256"] for path in files}) == 3


def test_two_runs_are_compared_on_the_same_episodes(tasd, home):
    runs = home / "runs"
    said = tasd(
        "evaluate", "--episodes", 50, "--compare", runs / "baseline", runs / "tasd", "--way", 3
    )
    assert "tasd minus baseline, same episodes:" in said
    assert "sign test p =" in said
    content = result(newest(runs / "tasd/evaluation", "test-3w1s-1q-50e-seed0-against-baseline"))
    first, second = content["first"], content["second"]
    assert first["episodes"] == second["episodes"]
    gain = content["second_minus_first"]["difference"]["mean"]
    accuracies = [said["networks"][said["chosen"]]["accuracy"] for said in (first, second)]
    assert gain == pytest.approx(accuracies[1] - accuracies[0])


def test_classes_that_were_trained_on_are_refused_by_name_unless_told(tasd, home):
    with pytest.raises(
        UserError, match=r"trained on 6 of the 6 .*\(train class 0, .*--allow-overlap"
    ):
        tasd("evaluate", "--split", "train", "--episodes", 10)
    assert not list((home / "runs/tasd/features").glob("*-train-*"))  # refused before the work
    said = tasd("evaluate", "--split", "train", "--episodes", 10, "--allow-overlap")
    assert "NOT few-shot: the network was trained on 6 of these classes" in said
    origin = result(newest(home / "runs/tasd/evaluation", "train-5w1s-1q-10e-seed0"))["provenance"]
    assert len(origin["trained_and_tested"]) == 6


def test_another_matcher_is_tried_where_it_needs_no_training(tasd, home):
    said = tasd("evaluate", "--episodes", 20, "--matcher", "otam")
    assert "tasd, otam" in said
    with pytest.raises(UserError, match="--matcher hyrsm has weights that must be trained"):
        tasd("evaluate", "--episodes", 20, "--matcher", "hyrsm")
    with pytest.raises(UserError, match="did you mean 'bimhm'"):
        tasd("evaluate", "--episodes", 20, "--matcher", "bimhn")


def write_features(path: Path, *, groups: bool = False) -> Path:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 5)
    with h5py.File(path, "w") as file:
        file["features"] = (random.normal(size=(30, 8, 4)) + labels[:, None, None]).astype("f4")
        file["video_name"] = [f"clip{i}" for i in range(30)]
        file["video_class"] = labels
        file["class_name"] = list("abcdef")
        if groups:
            file["video_group"] = [f"g{i % 2}" for i in range(30)]
    return path


@pytest.mark.parametrize("matcher", ["bimhm", "prototype"])
def test_a_feature_file_is_evaluated_without_a_run(tasd, tmp_path, matcher):
    path = write_features(tmp_path / "mine.h5")
    out = tmp_path / "result.json"
    said = tasd(
        "evaluate", "--features", path, "--matcher", matcher, "--episodes", 30, "--out", out
    )
    assert f"mine, {matcher}" in said
    assert "test: 6 classes, 30 videos; 30 episodes, 5-way 1-shot" in said
    content = result(out)
    assert content["provenance"]["features"]["features"]["sha256"] == open_features(path).hash
    assert content["networks"]["features"]["interval95"]["other classes"] is not None
    assert len(list(tmp_path.iterdir())) == 2  # nothing else was written


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--features", "mine.h5", "--half"), "--half has no effect with --features; leave it out"),
        (("--features", "mine.h5", "--network", "student"), "--network has no effect with"),
        (("--episodes-file", "x.json", "--way", 3), "--way has no effect with --episodes-file"),
        (("--episodes-file", "x.json", "--seeds", "1-3"), "--seeds has no effect with"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(tasd, words, said):
    with pytest.raises(UserError, match=said):
        tasd("evaluate", *words)


def test_a_split_that_the_file_does_not_have_is_told(tasd, tmp_path):
    path = write_features(tmp_path / "mine.h5")
    with pytest.raises(UserError, match="has no videos of the split 'val'; it has: test"):
        tasd("evaluate", "--features", path, "--split", "val")
    with pytest.raises(UserError, match="no split is called 'dev'"):
        tasd("evaluate", "--features", path, "--split", "dev")


def test_episodes_of_another_split_are_refused(tasd, tmp_path):
    every, part = write_features(tmp_path / "every.h5"), write_features(tmp_path / "part.h5")
    with h5py.File(part, "a") as file:
        file["class_split"] = ["train"] + ["test"] * 5
    saved = tmp_path / "episodes.json"
    tasd("evaluate", "--features", every, "--episodes", 30, "--save-episodes", saved)
    with pytest.raises(UserError, match=r"has 1 class \('a' first\) not in the sp"):
        tasd("evaluate", "--features", part, "--episodes-file", saved)


def test_a_result_that_cannot_be_written_is_told(tasd, tmp_path):
    path = write_features(tmp_path / "mine.h5")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot be written \(.*\); choose another place"):
        tasd("evaluate", "--features", path, "--episodes", 9, "--out", tmp_path / "file/x.json")


def test_what_is_not_the_run_as_it_was_trained_does_not_stand_for_it(tasd, home):
    run = home / "runs/baseline"
    tasd("evaluate", "--run", run, "--episodes", 12)
    said = tasd("evaluate", "--run", run, "--episodes", 12, "--matcher", "otam")
    assert "otam: not the run as it was trained, so tasd report leaves it out" in said
    last = run / "checkpoints/last.pt"
    tasd("evaluate", "--run", run, "--episodes", 12, "--checkpoint", last)
    names = {plain(path) for path in (run / "evaluation").glob("*-12e-*")}
    assert names == {f"test-5w1s-1q-12e-seed0{own}.json" for own in ("", "-otam", "-last")}
    assert plain(read_outcome(run).path) == "test-5w1s-1q-12e-seed0.json"


def test_distinct_groups_need_groups(tasd, tmp_path):
    bare, grouped = tmp_path / "a.h5", tmp_path / "b.h5"
    write_features(bare), write_features(grouped, groups=True)
    words = ("evaluate", "--episodes", 20, "--distinct-groups", "--features")
    with pytest.raises(UserError, match=r"a.h5 has no /video_group; write it there"):
        tasd(*words, bare)
    out = tmp_path / "episodes.json"
    tasd(*words, grouped, "--save-episodes", out)
    table = load_episodes(out)
    source = np.array([int(name.removeprefix("clip")) % 2 for name in table.videos])
    assert (source[table.support] != source[table.query]).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--run", "x", "--features", "y"), "exclude one another; give one of them"),
        (
            ("--compare", "x", "y", "--checkpoint", "z"),
            "--checkpoint belongs to one run; give it with",
        ),
        (("--run", "/nowhere"), "/nowhere is not a run"),
        (("--device", "tpu"), "--device tpu: use auto, cpu, cuda or cuda:N"),
        (("--network", "pupil"), "no network is called 'pupil'; there are: both, student"),
        (("--split", "dev"), "no split is called 'dev'"),
        (("--seeds", "one"), "--seeds 'one' is not a list of seeds; write 0, 0,3,7 or 0-4"),
        (("--way", 9), "--way 9 asks for more classes than the test classes of"),
        (("--queries", 9), "has 6 videos; a 5-way 1-shot episode with 9 queries needs 10"),
        (("--precision", "int8"), "no precision is called 'int8'"),
        (("--episodes-file", "/nowhere.json"), "cannot be read (No such file"),
        (("--store", "/nowhere"), "there is no store at /nowhere"),
        (("--checkpoint", "/nowhere.pt"), "there is no such checkpoint"),
    ],
)
def test_what_a_person_can_get_wrong_is_one_line(tasd, words, said):
    with pytest.raises(UserError) as refused:
        tasd("evaluate", *words)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_episode_that_the_classes_cannot_fill_is_told_before_any_feature_is_made(tasd, home):
    run = home / "runs/tasd"
    before = sorted((run / "features").glob("*"))
    store = home / "stores/folder"
    with pytest.raises(UserError, match=rf"test classes of {store} has 6 videos") as refused:
        tasd("evaluate", "--run", run, "--queries", 9, "--half")
    assert "lower --queries or --shot" in str(refused.value)
    assert sorted((run / "features").glob("*")) == before


def test_without_a_run_or_a_store_the_way_out_is_told(tasd, home, tmp_path, monkeypatch):
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"no run in .* has a best checkpoint; train one"):
        tasd("evaluate")
    with pytest.raises(UserError, match=r"holds none of folder; name it with --store"):
        tasd("evaluate", "--run", home / "runs/tasd")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("7", (7,)), ("0,3,7", (0, 3, 7)), ("0-4", (0, 1, 2, 3, 4)), ("1-2,9", (1, 2, 9))],
)
def test_seeds_are_written_as_lists_or_ranges(text, seeds):
    assert seeds_of(text) == seeds


def test_the_split_hash_goes_by_names(tmp_path):
    from tasd.episodes import EpisodeSampler
    from tasd.episodes.table import EpisodeTable

    videos = {name: [f"{name}/{i}" for i in range(4)] for name in "abcdef"}
    one, longer = (EpisodeTable.draw(EpisodeSampler(videos, 5, 1, 1, n, 0)) for n in (5, 9))
    assert split_hash(one) == split_hash(longer)
    videos["f"] = videos["f"][:3]
    assert split_hash(EpisodeTable.draw(EpisodeSampler(videos, 5, 1, 1, 5, 0))) != split_hash(one)
