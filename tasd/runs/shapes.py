"""The weights that a config describes, held against those of a file before memory is taken."""

from collections.abc import Mapping
from typing import Any

import torch

from tasd.config import Config, validate
from tasd.errors import UserError
from tasd.model import build_model
from tasd.runs.tensorfile import DamagedFile

Shapes = Mapping[str, tuple[int, ...]]
# Prefixes of the weights that serve training alone.
TRAINING_ONLY = ("projection.", "relation.")
# Far above what any store and any network has; a file that says more is no checkpoint of ours.
MOST_FRAMES, MOST_CLASSES = 10_000, 100_000


def without_heads(config: Config) -> Config:
    """Return the config of a network without the modules that `TRAINING_ONLY` names."""
    tree = config.model_dump()
    tree["distill"] |= dict.fromkeys(("ce", "at", "am", "pr"), 0.0)
    return validate(tree, source="the network without heads")


def refuse_misfit(config: Config, *, classes: int, found: Mapping[str, Shapes]) -> None:
    """Raise `DamagedFile` where weights are missing, unknown, or of other shapes than ``config``'s.

    found: for each network in the file, the shapes of its weights by name. The network is built
    without memory for its weights.
    """
    tensors = sum(map(len, found.values()))
    refuse_sizes(config, classes=classes, tensors=tensors)
    try:
        with torch.device("meta"):
            model = build_model(config, classes=classes, initialise=False)
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise DamagedFile(f"no network has the sizes of its config ({reason})") from None
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for network, shapes in found.items():
        for name in expected.keys() | shapes.keys():
            if name not in shapes:
                raise DamagedFile(f"the weight {name} of the {network} is missing")
            if name not in expected:
                raise DamagedFile(f"the {network} has a weight {name[:80]!r} that is not known")
            if shapes[name] != expected[name]:
                raise DamagedFile(
                    f"the {network}'s {name} is {_by(shapes[name])}, its config says "
                    f"{_by(expected[name])}"
                )


def refuse_sizes(config: Config, *, classes: int, tensors: int) -> None:
    """Raise `DamagedFile` for numbers that no run has; nothing is built for them."""
    lists = [len(v) for v in config.matcher.options.values() if isinstance(v, list | tuple)]
    most: dict[str, tuple[int, int]] = {
        "network.depth": (config.network.depth, tensors),
        "data.frames": (config.data.frames, MOST_FRAMES),
        "the number of its classes": (classes, MOST_CLASSES),
        "the length of a matcher's option": (max(lists, default=0), max(tensors, 100)),
    }
    for name, (value, limit) in most.items():
        if value > limit:
            raise DamagedFile(f"{name} is {value:,}, and no run like this has more than {limit:,}")


def shapes_of(state: Mapping[str, Any], prefix: str) -> Shapes:
    """Return the shapes of the tensors below a prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): tuple(value.shape)
        for name, value in state.items()
        if name.startswith(prefix)
    }


def of_network(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the tensors below a prefix, under their whole names, without `TRAINING_ONLY` ones."""
    heads = tuple(prefix + head for head in TRAINING_ONLY)
    return {k: v for k, v in state.items() if k.startswith(prefix) and not k.startswith(heads)}


def below(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the tensors below a prefix, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"
