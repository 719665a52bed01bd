"""An export: the one network that labels clips, in two files that need nothing beside them.

model.safetensors holds the weights of backbone, encoder and matcher; config.json all else.
"""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tasd.config import Config, validate
from tasd.errors import UserError
from tasd.files import write_text
from tasd.model import build_model
from tasd.predict.trained import TrainedNetwork, as_json, from_json
from tasd.runs.checkpoint import fill

FORMAT, VERSION = "tasd-export", 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"
# What a network has for training alone.
TRAINING_ONLY = ("projection.", "relation.")


def write_export(trained: TrainedNetwork, folder: Path) -> list[Path]:
    """Write both files, the config last: its presence means a whole export. Raises `UserError`."""
    weights, config = folder / WEIGHTS, folder / CONFIG
    if config.exists():
        raise UserError(f"{folder} holds a {CONFIG} already; name another folder with --out")
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in trained.model.state_dict().items()
        if not name.startswith(TRAINING_ONLY)
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = weights.with_name(f".{WEIGHTS}.writing")
        save_file(state, temporary, metadata={"format": "pt"})
        os.replace(temporary, weights)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{weights} cannot be written ({error}); name another --out") from None
    content = {
        "format": FORMAT,
        "version": VERSION,
        "checkpoint": trained.identity,
        "network": trained.network,
        "trained_on": list(trained.classes),
        "config": trained.config.model_dump(),
        **as_json(trained),
    }
    write_text(config, json.dumps(content, indent=1) + "\n")
    return [weights, config]


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export rather than a run."""
    try:
        return bool(json.loads((folder / CONFIG).read_text("utf-8")).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError):
        return False


def read_export(folder: Path) -> TrainedNetwork:
    """What `write_export` wrote. Raises `UserError`."""
    content = json.loads((folder / CONFIG).read_text("utf-8"))
    if content.get("version") != VERSION:
        raise UserError(
            f"{folder} is an export of version {content.get('version')}, this tasd reads "
            f"{VERSION}; export it with this release"
        )
    try:
        frames, thresholds = from_json(content)
        config = validate(content["config"], source=str(folder / CONFIG))
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
        raise UserError(f"{folder / CONFIG} is damaged ({error!r}); export it again") from None
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
    """The config of a network without what `TRAINING_ONLY` names."""
    tree = config.model_dump()
    tree["distill"] |= dict.fromkeys(("ce", "at", "am", "pr"), 0.0)
    return validate(tree, source="the export")
