"""Training on cached features: the loop of frames, without the backbone."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tasd import backbones, recipes
from tasd.cli.app import app
from tasd.errors import UserError
from tasd.features.reader import open_features
from tasd.loader import open_views
from tasd.model import build_model
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.frozen import on_features
from tasd.training.trainable import check_learns
from tests.result_files import newest
from tests.runs import small_config

SIDE, WIDTH = 32, 16
SPLIT = ["train"] * 8 + ["val"] * 5 + ["test"] * 5
SHORT = (
    "network.depth=1",
    "network.heads=2",
    "network.feedforward=16",
    "distill.hidden=16",
    "distill.out_dim=8",
    "training.validation_every=4",
    "training.validation_episodes=20",
    "training.precision=float32",
)


def tasd(*words: object) -> str:
    """Run a command; give its output, or raise its error."""
    said = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(said.exception, UserError):
        raise said.exception
    assert said.exit_code == 0, said.output
    return said.output


def train(*words: object) -> str:
    settings = [word for text in SHORT for word in ("--set", text)]
    return tasd("train", *words, "--episodes", 8, *settings)


def write(path: Path, *, time: int = 4, **more: list[str]) -> Path:
    """Features whose classes can be told: the first half of the channels says which it is."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(SPLIT)), 7)
    centre = random.normal(size=(len(SPLIT), 1, WIDTH))
    with h5py.File(path, "w") as file:
        noise = random.normal(size=(len(labels), time, WIDTH))
        file["features"] = (centre[labels] + noise).astype("f4")
        file["video_name"] = [f"clip{i:03d}" for i in range(len(labels))]
        file["video_class"] = labels
        file["class_name"] = [f"class {i}" for i in range(len(SPLIT))]
        for name, value in ({"class_split": SPLIT} | more).items():
            if value:
                file[name] = value
        file.attrs["dataset"] = "mine"
    return path


@pytest.fixture(scope="module")
def cached(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("features") / "mine.h5")


@pytest.fixture(scope="module")
def run(cached, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("run") / "frozen"
    said = train("--features", cached, "--out", folder)
    assert "of the distillation only Eq. 2 is left" in said
    return Run(folder)


def test_a_run_on_features_is_a_run_like_any_other(run):
    lines = run.read_metrics()
    steps = [line for line in lines if line["kind"] == "train"]
    assert set(steps[0]["terms"]) == {"metric", "ce", "auxiliary"}
    gradient_norms = next(line for line in lines if line["kind"] == "gradients")
    assert gradient_norms["terms"]["ce"]["frames"] > 0
    saved = load(run.best)
    assert saved.dataset == "mine"
    assert saved.classes == tuple(sorted(f"class {i}" for i in range(8)))
    assert not any(name.startswith("student.backbone") for name in saved.learner)
    assert any(name.startswith("model.encoder") for name in saved.teacher)


def test_it_is_evaluated_on_the_test_classes_of_its_file_and_says_what_it_is(run, cached):
    said = tasd("evaluate", "--run", run.path, "--episodes", 200)
    assert "test: 5 classes, 35 videos; 200 episodes" in said
    assert "trained on cached features of a frozen backbone, Eqs 3 to 11 left out" in said
    content = json.loads(newest(run.evaluation, "test-5w1s-1q-200e-seed0").read_text())
    assert content["networks"]["teacher"]["accuracy"] > 0.5  # the classes can be told
    origin = content["provenance"]
    assert origin["trained_on_store"] == open_features(cached).hash
    assert origin["config"]["data"]["features"] == str(cached.resolve())
    told = tasd("report", run.path)
    assert "trained on cached features; attention overlays need a network" in told
    tables = (run.figures / "tables.md").read_text()
    assert "| frozen | Baseline + SD, frozen backbone | mine 5-way" in tables
    assert "ours" not in tables  # the paper's tables are of networks that were trained whole


def test_the_test_classes_cannot_be_opened_in_training(cached):
    part = open_features(cached).only("train", "val")
    assert len(part.videos) == len(part.features) == 13 * 7
    assert part.hash == open_features(cached).hash
    with pytest.raises(UserError, match="has no split 'test', or was not opened for it"):
        part.classes("test")


def test_it_resumes_from_its_own_file_bit_for_bit(run, tmp_path):
    other = tmp_path / "again"
    (other / "checkpoints").mkdir(parents=True)
    for name in ("config.json", "metrics.jsonl"):
        (other / name).write_bytes((run.path / name).read_bytes())
    before = run.checkpoints / "previous.pt"
    assert load(before).progress.episode == 4
    (other / "checkpoints/last.pt").write_bytes(before.read_bytes())
    tasd("train", "--resume", other)
    one, two = load(run.last).learner, load(other / "checkpoints/last.pt").learner
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_more_frames_than_an_episode_takes_are_sampled(tmp_path):
    features = open_features(write(tmp_path / "long.h5", time=24))
    config = on_features(small_config(), features)
    assert config.data.frames == 2  # as the recipe says
    assert on_features(small_config(("data.frames", 64)), features).data.frames == 24


def test_cached_features_give_what_their_frames_give(small_store, tmp_path):
    weights = tmp_path / "resnet18.pth"
    torch.manual_seed(0)
    torch.save(backbones.build("resnet18").state_dict(), weights)
    path = tmp_path / "pooled.h5"
    said = tasd(
        *("features", "--backbone", "resnet18", "--weights", weights, "--store", small_store),
        *("--frames", 2, "--crop", SIDE, "--out", path),
    )
    assert f"resnet18: 96 x 2 x 512 float32 in {path}" in said
    features = open_features(path)
    with Store(small_store) as store:
        assert {s: set(names) for s, names in features.splits.items()} == {
            split: set(store.classes(split)) for split in ("train", "val", "test")
        }
        assert features.groups is not None
        own = ("network.backbone", "resnet18"), ("network.weights", str(weights))
        config = small_config(*own, recipe="baseline")
        through = build_model(config, classes=6).eval()
        direct = build_model(on_features(config, features), classes=6).eval()
        direct.encoder.load_state_dict(through.encoder.state_dict())
        from tasd.episodes import evaluation_view

        views = [evaluation_view(video, 2) for video in features.videos[::9]]
        pixels = next(iter(open_views(store, [views], size=SIDE, device="cpu", kind="torch")))
    with torch.inference_mode():
        by_frames = through(pixels).frames
        by_features = direct(torch.from_numpy(features.features_at(views))).frames
    torch.testing.assert_close(by_features, by_frames, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--weights", "imagenet"), r"--weights imagenet has no effect with --features"),
        (("--crop", 112), r"--crop 112 has no effect with --features; leave it out"),
        (
            ("--set", "distill.at=1"),
            r"need the network.s feature maps, which a file of --features lacks",
        ),
        (
            ("--set", "distill.nodes=4"),
            r"distill.nodes=4 has no effect: it needs distill.pr above 0",
        ),
        (("--matcher", "molo"), r"--matcher molo reads feature maps or pixels"),
        (("--store", "x"), r"--store and --features exclude each other"),
        (("--way", 9), r"--way 9 asks for more classes than the training classes of"),
    ],
)
def test_what_makes_no_sense_on_features_is_one_line(cached, tmp_path, words, said):
    with pytest.raises(UserError, match=said) as refused:
        train("--features", cached, "--out", tmp_path / "run", *words)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_file_without_a_split_cannot_be_trained_on(tmp_path):
    path = write(tmp_path / "all.h5", class_split=[])
    with pytest.raises(UserError, match=r"all.h5 has only classes of test; to train on it, write"):
        train("--features", path, "--out", tmp_path / "run")


def test_a_backbone_that_has_seen_the_test_classes_is_told(tmp_path):
    path = write(tmp_path / "seen.h5", trained_class=["Class 14", "something else"])
    train("--features", path, "--out", tmp_path / "run")
    with pytest.raises(UserError, match=r"trained on 1 of the 5 .*\(class 14\)"):
        tasd("evaluate", "--run", tmp_path / "run", "--episodes", 10)


def test_features_of_a_run_and_of_a_backbone_do_not_mix():
    with pytest.raises(UserError, match="--crop is an option for --backbone; leave it out"):
        tasd("features", "--crop", 64)
    with pytest.raises(
        UserError, match="--maps is an option for runs, not for --backbone; leave it out"
    ):
        tasd("features", "--backbone", "resnet18", "--maps")


def on_cached(recipe: str, cached: Path, folder: Path, *settings: str) -> str:
    """Train a recipe without an encoder for two episodes."""
    few = ("training.validation_every=2", "training.validation_episodes=4", *settings)
    given = [word for text in few for word in ("--set", text)]
    words = ("--recipe", recipe, "--features", cached, "--out", folder / "run")
    return tasd("train", *words, "--queries", 1, "--episodes", 2, *given)


def test_a_matcher_alone_learns_from_features_without_an_encoder(cached, tmp_path):
    on_cached("mpl", cached, tmp_path, "training.gradients_every=1")
    lines = Run(tmp_path / "run").read_metrics()
    assert [line["episode"] for line in lines if line["kind"] == "train"] == [1, 2]
    assert not [line for line in lines if line["kind"] == "gradients"]  # nothing before F learns


def test_a_run_with_nothing_to_train_is_refused_in_one_line(cached, tmp_path):
    with pytest.raises(UserError, match=r"nothing to train: .*network.depth") as error:
        on_cached("otam", cached, tmp_path)
    assert "\n" not in str(error.value)


def test_a_fixed_backbone_alone_is_nothing_to_train_on_frames_too():
    fixed = [("network.depth", 0), ("optimiser.backbone_scale", 0.0)]
    config = recipes.make("otam", dataset="folder", shot=1, settings=fixed)
    with pytest.raises(UserError, match=r"nothing to train: the backbone is fixed"):
        check_learns(config)
    for learns in ([("network.depth", 1)], [("optimiser.backbone_scale", 0.1)]):
        check_learns(recipes.change(config, learns))
    check_learns(recipes.make("trx", dataset="folder", shot=1, settings=fixed))
