"""No run with a pretrained backbone ends below its floor on validation, whatever its recipe."""

from pathlib import Path

import pytest
import torch

from tasd import backbones, recipes
from tasd.config import Config
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.evaluation.floor import with_floor
from tasd.evaluation.terminal import table
from tasd.extraction.run import Extraction
from tasd.matchers import MATCHERS
from tasd.predict.export import read_export, write_export
from tasd.predict.trained import trained_network
from tasd.recipes import RECIPES
from tasd.recipes.settings import parse_setting, replace
from tasd.report.outcome import Outcome, cell
from tasd.runs.checkpoint import load, networks
from tasd.runs.folder import Run
from tasd.runs.rules import read_config
from tasd.store import Store
from tasd.training.distributed import World
from tasd.training.loop import TrainingResult
from tasd.training.validation import Validation
from tests import stores
from tests.narrow import narrow_arn, tiny
from tests.runs import DISTILL, SMALL, lines, small_run

FRAMES = 4  # TRX compares triples of frames
NARROW = dict.fromkeys(("trx", "strm", "hcl", "sloshnet", "sloshnet-temporal"), 16)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    narrow_arn(monkeypatch)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A store whose classes are hard to tell apart: their tints are close."""
    folder, drawn = tmp_path_factory.mktemp("floor-of-runs") / "store", stores._jpeg
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores, "_jpeg", lambda random, tint, side: drawn(random, tint // 8, side))
        return stores.write_store(folder, frames=8, side=40, videos=3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A folder with weights of both backbones, which stand for pretrained ones."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    torch.save(tiny().state_dict(), folder / "tiny.pth")
    torch.save(backbones.build("resnet8").state_dict(), folder / "resnet8.pth")
    return folder


def begun(recipe: str, weights: Path, *settings: tuple[str, object]) -> Config:
    """A recipe on pretrained weights whose rate ruins what it trains."""
    config = recipes.make(recipe, dataset="folder", shot=1)
    terms = DISTILL if config.distill.weights else ()
    depth = min(config.network.depth, 1)
    texts = [text for text in SMALL if not text.startswith(("network.depth", "network.feed"))]
    backbone = "resnet8" if MATCHERS[config.matcher.name].levels > 1 else "tiny"
    own = [("network.backbone", backbone), ("network.weights", str(weights / f"{backbone}.pth")),
           ("network.depth", depth), ("data.frames", FRAMES), ("optimiser.lr", 0.1),
           ("training.episodes", 4), ("training.validation_every", 2),
           ("training.validation_episodes", 40)]  # fmt: skip
    own += [
        ("matcher.options.width", NARROW[name]) for name in [config.matcher.name] if name in NARROW
    ]
    return replace(config, [*map(parse_setting, (*texts, *terms)), *own, *settings])


def trained(store: Path, folder: Path, config: Config) -> TrainingResult:
    return small_run(store, folder, config)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "demo"])
def test_what_a_run_keeps_is_not_below_its_floor_on_validation(recipe, store, weights, tmp_path):
    config = begun(recipe, weights)
    best = trained(store, tmp_path / "run", config).best
    run = Run(tmp_path / "run")
    first, *later = lines(run, "validation")
    assert best.accuracy >= max(first["student"]["accuracy"], first["plain"]["accuracy"])
    seen = [one["accuracy"] for line in (first, *later) for one in line.values()
            if isinstance(one, dict)]  # fmt: skip
    assert best.accuracy == max(seen)
    saved = load(run.best)
    assert saved.progress.best == best
    with Store(store) as opened:
        own = Validation(opened, World(0, 1, torch.device("cpu")), episode=config.episode,
                         data=config.data, training=config.training)  # fmt: skip
        kept = own.accuracy(networks(saved)[saved.best_network])
    assert kept["accuracy"] == pytest.approx(best.accuracy)


@pytest.fixture(scope="module")
def beaten(store, weights, tmp_path_factory) -> Run:
    """A run whose plain backbone is better than all that it trained."""
    folder = tmp_path_factory.mktemp("beaten")
    best = trained(store, folder / "run", begun("team", weights)).best
    assert (best.episode, best.network) == (0, "plain")
    return Run(folder / "run")


def test_the_run_says_that_nothing_has_beaten_the_plain_backbone(beaten):
    said = (beaten.path.parent / "log.txt").read_text()
    assert "nothing that was trained has beaten the plain backbone without encoder (valid" in said


def test_a_test_of_the_run_is_that_of_the_plain_backbone(beaten, store):
    saved, how = load(beaten.best), Extraction()
    with Store(store) as opened:
        candidate = of_run(beaten, saved, opened, how, source=beaten.best)
        found = evaluate(
            with_floor(candidate, beaten, saved, opened, how), EpisodeRequest(5, 1, 1, 40)
        )
    assert list(found.summaries) == ["student", "plain"]
    assert found.content["chosen"] == "plain"
    assert (found.summaries["plain"].correct == found.floor.summary.correct).all()
    assert found.floor.gain.difference.mean == 0
    said = "\n".join(table(found))
    assert "plain *" in said
    assert "nothing that was trained has beaten it, so predict and export take it too" in said
    shown = cell([Outcome(beaten, beaten.config(), None, found.content)])
    assert shown.text.endswith(" (plain backbone)")


def test_a_checkpoint_of_trained_weights_holds_no_plain_backbone(beaten):
    """Their backbone has moved: without encoder it is no start of the run."""
    later = load(beaten.last)
    assert later.progress.best.network == "plain"
    assert later.progress.episode > 0
    assert list(networks(later)) == ["student"]
    assert later.best_network == "student"


def test_labels_and_exports_are_those_of_the_plain_backbone(beaten, store, tmp_path):
    found = trained_network(beaten, store=store)
    assert found.name == f"the plain backbone of {beaten.path}"
    assert (found.config.network.depth, found.config.matcher.name) == (0, "bimhm")
    write_export(found, tmp_path / "export")
    again = read_export(tmp_path / "export")
    frames = torch.randint(0, 256, (2, FRAMES, 32, 32, 3), dtype=torch.uint8)
    expected = networks(load(beaten.best))["plain"](frames).frames
    assert torch.equal(found.model(frames).frames, expected)
    assert torch.equal(again.model(frames).frames, expected)
    assert again.config == found.config
    assert again.network == "plain"


def test_a_run_from_before_keeps_the_best_of_what_it_trained(beaten, store, weights, tmp_path):
    tree = beaten.config().model_dump()
    del tree["training"]["plain_candidate"]
    old = read_config(tree, source="a run from before")
    assert not old.training.plain_candidate
    assert trained(store, tmp_path / "run", old).best.network == "student"
    tree["network"]["weights"] = "none"
    assert read_config(tree, source="from scratch").training.plain_candidate  # no effect


def test_equal_starts_leave_the_untrained_network_as_the_best(store, weights, tmp_path):
    best = trained(store, tmp_path / "run", begun("otam", weights)).best
    first = lines(Run(tmp_path / "run"), "validation")[0]
    assert first["plain"]["accuracy"] == first["student"]["accuracy"]
    assert best.network == "student"
