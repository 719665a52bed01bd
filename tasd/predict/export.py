"""Exports: the one network that labels clips, in two files that need no others.

model.safetensors holds the weights of backbone, encoder and matcher; config.json all else.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tasd.config import Config, validate
from tasd.errors import UserError
from tasd.files import read_json, replacing, write_text
from tasd.model import build_model
from tasd.predict.trained import TrainedNetwork, settings_as_json, settings_from_json
from tasd.runs.checkpoint import fill
from tasd.runs.rules import read_config

FORMAT, VERSION = "tasd-export", 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"
# Prefixes of the weights that serve training alone.
TRAINING_ONLY = ("projection.", "relation.")


def write_export(trained: TrainedNetwork, folder: Path) -> list[Path]:
    """Write both files, the config last: a folder with it is complete. Raises `UserError`."""
    weights, config = folder / WEIGHTS, folder / CONFIG
    if config.exists():
        raise UserError(f"{folder} already holds a {CONFIG}; name another folder with --out")
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in trained.model.state_dict().items()
        if not name.startswith(TRAINING_ONLY)
    }
    try:
        with replacing(weights) as temporary:
            save_file(state, temporary, metadata={"format": "pt"})
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{weights} cannot be written ({error}); name another folder with --out"
        ) from None
    content = {
        "format": FORMAT,
        "version": VERSION,
        "checkpoint": trained.identity,
        "network": trained.network,
        "trained_on": list(trained.classes),
        "config": trained.config.model_dump(),
        **settings_as_json(trained),
    }
    # Escaped to ASCII, which `tasd.files.write_json` is not.
    write_text(config, json.dumps(content, indent=1) + "\n")
    return [weights, config]


def is_export(folder: Path) -> bool:
    """True where a folder holds an export rather than a run."""
    try:
        return bool(json.loads((folder / CONFIG).read_text("utf-8")).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError):
        return False


def read_export(folder: Path) -> TrainedNetwork:
    """Read the network that `write_export` wrote. Raises `UserError`."""
    path = folder / CONFIG
    content = read_json(
        path,
        format=FORMAT,
        version=VERSION,
        what="an export of tasd",
        way_out="export the run again with this tasd",
    )
    try:
        frames, thresholds = settings_from_json(content)
        config = read_config(content["config"], source=str(path))
        trained = TrainedNetwork(
            path=folder,
            identity=content["checkpoint"],
            network=content["network"],
            model=build_model(
                _without_heads(config), classes=len(content["trained_on"]), initialise=False
            ),
            config=config,
            classes=tuple(content["trained_on"]),
            frames=frames,
            thresholds=thresholds,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); export the run again") from None
    fill(trained.model, _weights(folder), source=str(folder / WEIGHTS))
    trained.model.eval().requires_grad_(False)
    return trained


def _weights(folder: Path) -> dict[str, Any]:
    try:
        return dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder / WEIGHTS} cannot be read ({error}); export the run again"
        ) from None


def _without_heads(config: Config) -> Config:
    """The config of a network without the modules that `TRAINING_ONLY` names."""
    tree = config.model_dump()
    tree["distill"] |= dict.fromkeys(("ce", "at", "am", "pr"), 0.0)
    return validate(tree, source="the export")
