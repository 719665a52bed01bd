"""The network that labels clips without training: a pretrained backbone and a matcher."""

import hashlib
from pathlib import Path

from prep.clip import FrameSettings
from tasd import backbones, recipes
from tasd.backbones import Backbone
from tasd.config import weights_name
from tasd.errors import Mistakes, UserError
from tasd.home import home
from tasd.matchers import MATCHERS, has_weights
from tasd.matchers import build as build_matcher
from tasd.matchers.base import Matcher
from tasd.model import Model, build_model
from tasd.predict.trained import UNTRAINED, TrainedNetwork
from tasd.recipes.settings import replace
from tasd.runs.zero_weights import ZeroWeights

STORED_FRAMES = 32  # of each clip, as many as tasd prep keeps
# Weights of a size are trained on crops of it from pictures a seventh larger.
STORED_SIZE, CROP = 256, 224


def untrained_network(
    backbone: str,
    *,
    weights: str = "imagenet",
    matcher: str = "bimhm",
    frames: int = 8,
    crop: int | None = None,
) -> TrainedNetwork:
    """Return the pretrained backbone with a matcher that has no weights of its own.

    There is no temporal encoder. The pixels are computed on in float32, so that the scores are
    the same on every machine.

    weights: a published name or a file. frames: sampled from each clip. crop: side in pixels, by
    default the one that the backbone's weights were trained at.

    Raises `UserError`.
    """
    described, weights = backbones.described(backbone), weights_name(backbone, weights)
    _check_weights(backbone, described, weights)
    _check_matcher(matcher, described.channels, frames)
    crop = described.size if crop is None else crop
    config = replace(
        recipes.for_matcher(matcher, dataset="folder", shot=1),
        [
            ("network.backbone", backbone),
            ("network.weights", weights),
            ("network.depth", 0),
            ("data.frames", frames),
            ("data.crop", crop),
            ("training.precision", "float32"),
        ],
    )
    with ZeroWeights():  # all of its weights are pretrained
        model = build_model(config, classes=1).eval().requires_grad_(False)
    state = _digest(model)
    return TrainedNetwork(
        path=home(),
        identity=_joined(backbone, matcher, state),
        without_matcher=_joined(backbone, state),
        network=UNTRAINED,
        model=model,
        config=config,
        classes=(),
        frames=FrameSettings(
            frames=max(STORED_FRAMES, frames),
            resize="square",
            size=round(crop * STORED_SIZE / CROP),
        ),
    )


def check_options(backbone: str, *, weights: str, matcher: str | None) -> None:
    """Raise `UserError` for all that `untrained_network` would refuse without reading weights."""
    with Mistakes() as mistakes:
        channels = 64
        described = mistakes.of(backbones.described, backbone)
        if described is not None:
            channels = described.channels
            mistakes.of(_check_weights, backbone, described, weights_name(backbone, weights))
        if matcher is not None:
            mistakes.of(_check_matcher, matcher, channels, 8)


def bare_matcher(name: str, *, channels: int, frames: int) -> Matcher:
    """Build a matcher without weights of its own for features of any origin.

    It has the options that `untrained_network` gives it. Raises `UserError`.
    """
    _check_matcher(name, channels, frames)
    config = recipes.for_matcher(name, dataset="folder", shot=1)
    return build_matcher(name, channels, frames=frames, **config.matcher.options).eval()


def without_weights() -> list[str]:
    """Return the names of the matchers that have no weights of their own."""
    return [name for name in MATCHERS if not has_weights(name)]


def _check_weights(name: str, backbone: Backbone, weights: str) -> None:
    """Refuse random weights, and what is neither a file nor published for this backbone."""
    published = ", ".join(backbone.pretrained)
    way_out = f"give {published} or a file" if published else "give a file"
    if weights == "none":
        raise UserError(
            f"--weights none leaves {name} with random weights, and nothing is trained here; "
            f"{way_out}"
        )
    if weights not in backbone.pretrained and not Path(weights).is_file():
        raise UserError(
            f"--weights {weights} is neither a file nor published weights of {name}; {way_out}"
        )


def _check_matcher(name: str, channels: int, frames: int) -> None:
    if has_weights(name, channels=channels, frames=frames):
        raise UserError(
            f"--matcher {name} has weights of its own, which only training sets; without training "
            f"there are: {', '.join(without_weights())}"
        )


def _digest(model: Model) -> str:
    """The sha256 of all weights, the pixels' mean and deviation among them."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _joined(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
