"""Every recipe is consistent and trains, with distillation and without."""

import itertools
import re
from dataclasses import replace as replaced
from pathlib import Path

import pytest
import torch

from tasd import recipes
from tasd.config import Config
from tasd.episodes import EpisodeSampler
from tasd.errors import UserError
from tasd.loader import EpisodeLoader
from tasd.matchers import DESCRIBED, MATCHERS, build, option_names
from tasd.model import check_parts
from tasd.runs.checkpoint import Progress
from tasd.store import Store
from tasd.training import optimiser
from tasd.training.distributed import World
from tasd.training.learner import build_learner
from tasd.training.plan import resolve, training_plan
from tasd.training.teacher import Teacher
from tests.narrow import narrow_arn
from tests.runs import DISTILL, small_config, small_run
from tests.stores import write_store

ALONE = World(0, 1, torch.device("cpu"))
DATASETS = ("kinetics", "ucf101", "hmdb51", "folder")
# The smallest network, and the smallest heads where they are wide.
TINY = (
    ("network.weights", "none"),
    ("data.crop", 32),
    ("data.frames", 3),
    ("data.loader", "torch"),
    ("training.precision", "float32"),
    ("training.episodes_per_step", 1),
    ("training.validation_every", 2),
    ("training.validation_episodes", 8),
    ("optimiser.lr", 1e-4),
)
METRIC = {"arn": "mse"}  # in place of the cross-entropy of the scores
WIDE = ("trx", "strm", "hcl", "sloshnet", "sloshnet-temporal")
NARROW = {name: [("matcher.options.width", 16)] for name in WIDE}
# The methods that do not give all weights one rate, and the factors on it.
RATES = {"sloshnet": {1, 30}, "sloshnet-temporal": {1, 30}}
BACKBONE_RATES = {"hcl": 0.1}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    narrow_arn(monkeypatch)


@pytest.fixture(scope="module")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos a class: one support, one query."""
    return write_store(tmp_path_factory.mktemp("tiny") / "folder", videos=2, frames=4)


def tiny(name: str, distill: str, *, shot: int = 1, **episode: int) -> Config:
    """Return the recipe of a matcher with a tiny network."""
    thin = [tuple(text.split("=")) for text in DISTILL] if distill != "none" else []
    settings = [("distill", distill), *((key, int(value)) for key, value in thin), *TINY]
    backbone = "resnet8" if MATCHERS[name].levels > 1 else "tiny"
    settings += [("network.backbone", backbone)]
    settings += [(f"episode.{key}", value) for key, value in episode.items()]
    settings += NARROW.get(name, [])
    made = recipes.for_matcher(name, dataset="folder", shot=shot)
    return recipes.change(made, settings)


def test_every_matcher_of_another_paper_has_a_recipe_of_its_own():
    assert {name: recipes.of_matcher(name) for name in MATCHERS} == {
        name: "baseline" if name == "bimhm" else name for name in MATCHERS
    }


@pytest.mark.parametrize("name", MATCHERS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_matchers_recipe_gives_it_options_and_losses_that_it_has(name, dataset):
    config = recipes.for_matcher(name, dataset=dataset, shot=1)
    assert config.matcher.name == name
    assert config.distill.weights == {}
    assert set(config.matcher.options) <= set(option_names(name))
    built = build(name, 16, classes=3, **config.matcher.options)
    assert set(config.matcher.losses) == set(built.loss_names)
    assert config.training.metric == (0 if name == "hcl" else 1)
    assert all(0 < weight <= 1 for weight in config.matcher.losses.values())


@pytest.mark.parametrize("name", [name for name in MATCHERS if name != "bimhm"])
def test_the_docstring_gives_command_paper_and_published_scores(name):
    text = " ".join((recipes.RECIPES[name].__doc__ or "").split())
    assert f"tasd train --recipe {name} " in text
    assert re.search(r"20(17|2\d)", text)
    for value in itertools.chain(*DESCRIBED[name].accuracy.values()):
        assert value is None or f"{value}" in text


@pytest.mark.parametrize("name", [name for name in MATCHERS if name != "bimhm"])
def test_a_published_method_trains_its_weights_at_the_published_rates_without_extras(name):
    config = tiny(name, "none")
    learner = build_learner(config, classes=("a", "b"), initialise=False)
    pretrained = config.network.weights != "none"
    groups = optimiser.build(learner, config.optimiser, pretrained=pretrained).param_groups
    rates = {factor * config.optimiser.lr for factor in RATES.get(name, {1})}
    assert sorted({group["lr"] for group in groups}) == pytest.approx(sorted(rates))
    assert set(learner.weights) == {METRIC.get(name, "metric"), *config.matcher.losses}
    pretrained = recipes.make(name, dataset="ucf101", shot=1)
    assert pretrained.optimiser.backbone_scale == BACKBONE_RATES.get(name, 1)


def test_sgd_is_plain_descent():
    config = recipes.make("trx", dataset="ucf101", shot=5)
    config = recipes.change(config, [("network.backbone", "resnet18")])
    learner = build_learner(config, classes=("a",), initialise=False)
    built = optimiser.build(learner, config.optimiser, pretrained=True)
    assert isinstance(built, torch.optim.SGD)
    assert {(g["momentum"], g["weight_decay"]) for g in built.param_groups} == {(0, 0)}


def test_sgd_has_momentum_where_asked():
    config = recipes.change(
        recipes.make("itanet", dataset="kinetics", shot=1), [("network.backbone", "resnet8")]
    )
    learner = build_learner(config, classes=("a",), initialise=False)
    built = optimiser.build(learner, config.optimiser, pretrained=True)
    assert {(g["momentum"], g["lr"]) for g in built.param_groups} == {(0.9, 1e-3)}


def test_arn_has_its_own_network_frames_and_steps():
    config = recipes.make("arn", dataset="ucf101", shot=1)
    assert (config.network.backbone, config.network.weights) == ("c3d64", "none")
    assert (config.data.frames, config.data.crop) == (20, 128)
    assert config.matcher.options == {"variant": "ssa_rotation", "a_s": 1.5}
    plan = training_plan(resolve(config, ALONE), ALONE)
    rates = [plan.rate(Progress(step=n, episode=n)) for n in (0, 24_999, 25_000, 75_000, 99_999)]
    assert rates == [1, 1, 0.5, 0.125, 0.125]


@pytest.mark.parametrize("base", ["baseline", "otam", "hyrsm", "demo"])
def test_the_distillation_of_a_recipe_is_taken_over_whole_and_taken_away(base):
    made = recipes.make(base, dataset="folder", shot=1)
    known = recipes.make("tasd", dataset="folder", shot=1).distill
    added = recipes.change(made, [("distill", "tasd"), ("distill.ce", 2.0)])
    assert added.distill == known.model_copy(update={"ce": 2.0})
    assert added.matcher == made.matcher
    taken = recipes.change(added, [("distill", "none")])
    assert taken.distill.weights == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([("distill", "otam")], "no distillation is called 'otam'; there are: none, tasd"),
        (
            [("distill", "none"), ("distill.ce_pairs", "SS")],
            "no effect: it needs distill.ce above 0",
        ),
        ([("network.dropout", 0.2)], "no effect while network.depth is 0"),
        ([("optimiser.warmup", 5)], "no effect while optimiser.schedule is 'constant'"),
        ([("optimiser.step_at", [0.5])], "no effect unless optimiser.schedule is 'step'"),
        ([("optimiser.step_factor", 0.5)], "no effect unless optimiser.schedule is 'step'"),
        (
            [("optimiser.name", "adam"), ("optimiser.momentum", 0.5)],
            "no effect unless optimiser.name is 'sgd'",
        ),
        ([("network.weights", "none"), ("optimiser.backbone_scale", 0.1)], "'none'"),
    ],
)
def test_a_setting_without_effect_is_refused(settings, message):
    with pytest.raises(UserError) as error:
        recipes.make("otam", dataset="folder", shot=1, settings=settings)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "there"), [("otam", "it has: none"), ("strm", "it has: post_patch")]
)
def test_the_weight_of_a_loss_that_a_matcher_does_not_have_is_refused(name, there):
    config = recipes.change(tiny(name, "none"), [("matcher.losses.contrast", 0.5)])
    with pytest.raises(UserError, match=f"has no loss 'contrast' to weigh.*{there}"):
        check_parts(config)


@pytest.mark.parametrize("distill", ["none", "tasd"])
@pytest.mark.parametrize("name", MATCHERS)
def test_every_recipe_trains(tiny_store: Path, tmp_path: Path, name: str, distill: str):
    config = recipes.change(tiny(name, distill, queries=1), [("training.episodes", 2)])
    run = small_run(tiny_store, tmp_path / "run", config).run
    steps = [line for line in run.read_metrics() if line["kind"] == "train"]
    assert [line["episode"] for line in steps] == [1, 2]
    own = {"auxiliary"} if name == "bimhm" else set()
    distilled = set() if distill == "none" else {"ce", "at", "am", "pr"}
    metric = {METRIC.get(name, "metric")}
    assert set(steps[0]["terms"]) == metric | {*config.matcher.losses} | own | distilled
    assert run.best.exists()


@pytest.mark.parametrize("name", MATCHERS)
def test_every_recipe_learns_from_unequal_shots_of_any_number_of_classes(small_store, name):
    config = tiny(name, "tasd", shot=3, way=3, queries=2)
    with Store(small_store) as store:
        classes = store.classes("train")
        sampler = EpisodeSampler(classes, 3, 3, 2, 1, seed=0, frames=3, training=True)
        batch = next(iter(EpisodeLoader(store, [sampler[0]], size=32, device="cpu", kind="torch")))
    # Three shots of the first class stay, two of the second, one of the third.
    shots = torch.tensor([0, 1, 2, 3, 4, 6])
    queries = torch.arange(len(batch.support_labels), len(batch.frames))
    labels = batch.support_labels[shots]
    batch = replaced(
        batch,
        episode=replaced(batch.episode, support_labels=tuple(labels.tolist())),
        frames=batch.frames[torch.cat([shots, queries])],
        support_labels=labels,
    )
    assert batch.support_labels.bincount().tolist() == [3, 2, 1]
    torch.manual_seed(0)
    learner = build_learner(config, classes=tuple(classes)).train()
    losses = learner(batch, Teacher(learner.student, config.distill)(batch))
    losses.total.backward()
    assert losses.total.isfinite()
    for weight, parameter in learner.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{weight} is not reached"
            assert parameter.grad.isfinite().all(), weight


def test_too_few_frames_for_a_matcher_are_told(small_store, tmp_path):
    config = small_config(("matcher.name", "trx"))
    with pytest.raises(UserError, match=r"'trx' needs videos of 3 frames or more.*data.frames"):
        small_run(small_store, tmp_path / "run", config)
