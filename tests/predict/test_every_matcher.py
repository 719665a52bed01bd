"""Every matcher labels clips: trained ones after an export, others without training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from prep.clip import FrameSettings
from tasd import recipes
from tasd.config import Config
from tasd.errors import UserError
from tasd.matchers import MATCHERS, option_names
from tasd.model import build_model
from tasd.predict.export import read_export, write_export
from tasd.predict.reject import threshold_for
from tasd.predict.scores import class_scores
from tasd.predict.trained import TrainedNetwork
from tasd.predict.untrained import bare_matcher, without_weights
from tasd.recipes.settings import replace
from tasd.types import Features

CLASSES = ("one", "other", "third")


def config_of(name: str, *settings: tuple[str, object]) -> Config:
    """Return the recipe of a matcher with the smallest backbone."""
    small: list[tuple[str, object]] = [
        ("network.backbone", "resnet8"),
        ("network.weights", "none"),
        ("data.crop", 32),
        ("data.frames", 4),
        ("training.precision", "float32"),
    ]
    if "width" in option_names(name):
        small.append(("matcher.options.width", 16))
    return replace(recipes.for_matcher(name, dataset="folder", shot=1), [*small, *settings])


def network(config: Config, folder: Path) -> TrainedNetwork:
    torch.manual_seed(0)
    model = build_model(config, classes=len(CLASSES)).eval().requires_grad_(False)
    return TrainedNetwork(folder, "0" * 64, "student", model, config, CLASSES, FrameSettings())


def scores(trained: TrainedNetwork, *, queries: int = 3) -> np.ndarray:
    """Score random clips against one clip of a class and two of another."""
    torch.manual_seed(1)
    pixels = torch.randint(256, (6, 4, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        # A model whose matcher folds stages of the backbone into F has a method for that.
        features = getattr(trained.model, "condensed", trained.model)(pixels)
        ready = trained.model.matcher.prepare(features)
    parts = [
        Features(ready.frames[rows], None if ready.maps is None else ready.maps[rows])
        for rows in (slice(3, 3 + queries), slice(3))
    ]
    labels = torch.tensor([1, 0, 1])
    return class_scores(trained.model.matcher, *parts, labels=labels, way=2)


def told(error: pytest.ExceptionInfo[UserError], *parts: str) -> bool:
    """True for a message of one line with these parts."""
    text = str(error.value)
    return "\n" not in text and all(part in text for part in parts)


@pytest.mark.parametrize("name", MATCHERS)
def test_an_export_of_every_matcher_gives_the_scores_of_its_network(name: str, tmp_path: Path):
    trained = network(config_of(name), tmp_path)
    write_export(trained, tmp_path / "export")
    found = scores(read_export(tmp_path / "export"))
    assert found.shape == (3, 2)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, scores(trained))


@pytest.mark.parametrize("name", MATCHERS)
def test_a_matcher_labels_without_training_or_is_refused_in_one_line(name: str):
    if name in without_weights():
        assert not list(bare_matcher(name, channels=16, frames=4).parameters())
        return
    with pytest.raises(UserError) as error:
        bare_matcher(name, channels=16, frames=4)
    assert told(error, f"--matcher {name} has weights", "bimhm")


TRANSDUCTIVE = ("matcher.options.transductive", True)


def test_clips_are_scored_alone_by_a_transductive_network(tmp_path: Path):
    trained = network(config_of("mpl", TRANSDUCTIVE), tmp_path)
    assert trained.model.matcher.transductive
    np.testing.assert_array_equal(scores(trained)[:1], scores(trained, queries=1))
    alone = network(config_of("mpl"), tmp_path)
    np.testing.assert_allclose(scores(trained), scores(alone), rtol=1e-5)


def test_a_transductive_network_has_no_threshold(tmp_path: Path):
    trained = network(config_of("mpl", TRANSDUCTIVE), tmp_path)
    with pytest.raises(UserError) as error:
        threshold_for(trained, way=2, shot=1)
    assert told(error, "transductive", "--no-reject")
