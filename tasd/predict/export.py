"""Exports: the one network that labels clips, in two files that need no others.

model.safetensors holds the weights of backbone, encoder and matcher; config.json all else.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from tasd.errors import UserError, cause
from tasd.files import as_json, read_json, replacing, sync_folder, write_text
from tasd.model import build_model
from tasd.predict.trained import TrainedNetwork, settings_as_json, settings_from_json
from tasd.runs.checkpoint import fill
from tasd.runs.rules import read_config
from tasd.runs.shapes import TRAINING_ONLY, refuse_misfit, without_heads
from tasd.runs.tensorfile import DamagedFile, all_finite
from tasd.runs.way_out import remark
from tasd.runs.zero_weights import ZeroWeights

FORMAT, VERSION = "tasd-export", 2
WITHOUT_DIGESTS = 1  # the version before, which is still read
WEIGHTS, CONFIG = "model.safetensors", "config.json"


def write_export(trained: TrainedNetwork, folder: Path) -> list[Path]:
    """Write both files, the config last: a folder with it is complete. Raises `UserError`.

    Both are on the disk, with their names, before the config's name makes the export visible.
    """
    weights, config = folder / WEIGHTS, folder / CONFIG
    refuse_export(folder)
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in trained.model.state_dict().items()
        if not name.startswith(TRAINING_ONLY)
    }
    _refuse_infinite(state, f"the {trained.network} of {trained.path}")
    try:
        with replacing(weights) as temporary:
            save_file(state, temporary, metadata={"format": "pt"})
            sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
        sync_folder(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{weights} cannot be written ({cause(error)}); name another folder with --out"
        ) from None
    content = {
        "format": FORMAT,
        "version": VERSION,
        "checkpoint": trained.identity,
        "network": trained.network,
        "trained_on": list(trained.classes),
        "config": trained.config.model_dump(),
        **settings_as_json(trained),
        "weights_sha256": sha256,
    }
    content["sha256"] = _digest(content)
    # Escaped to ASCII, which `tasd.files.write_json` is not.
    write_text(config, as_json(content, indent=1, ascii=True) + "\n")
    sync_folder(folder)
    return [weights, config]


def refuse_export(folder: Path) -> None:
    """Raise `UserError` where a folder holds an export, or anything else with a config.json."""
    if (folder / CONFIG).exists():
        raise UserError(f"{folder} already holds a {CONFIG}; name another folder with --out")


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
        older=(WITHOUT_DIGESTS,),
        what="an export of tasd",
        way_out="export the run again with this tasd",
    )
    if content["version"] == WITHOUT_DIGESTS:
        remark(f"{path} has version {WITHOUT_DIGESTS}, which carries no digests; it is read")
    elif content.get("sha256") != _digest(content):
        raise UserError(f"{path} is damaged (its digest differs); export the run again")
    state = _weights(folder, content.get("weights_sha256"))
    try:
        frames, thresholds = settings_from_json(content)
        config = read_config(content["config"], source=str(path))
        bare, classes = without_heads(config), tuple(content["trained_on"])
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        refuse_misfit(bare, classes=len(classes), found={"network": shapes})
        with ZeroWeights():
            model = build_model(bare, classes=len(classes), initialise=False)
        trained = TrainedNetwork(
            path=folder,
            identity=content["checkpoint"],
            network=content["network"],
            model=model,
            config=config,
            classes=classes,
            frames=frames,
            thresholds=thresholds,
        )
    except DamagedFile as error:
        raise UserError(f"{folder} is damaged ({error}); export the run again") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); export the run again") from None
    _refuse_infinite(state, str(folder / WEIGHTS))
    fill(trained.model, state, source=str(folder / WEIGHTS))
    trained.model.eval().requires_grad_(False)
    return trained


def _weights(folder: Path, sha256: str | None) -> dict[str, Any]:
    """Read the weights; what is held against ``sha256``, where it is known, is what was read."""
    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise UserError(f"{path} is damaged (its digest differs); export the run again")
        return dict(load(content))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}); export the run again") from None


def _digest(content: Mapping[str, Any]) -> str:
    """The sha256 of a config without its own digest."""
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(as_json(bare, sort_keys=True, ascii=True).encode()).hexdigest()


def _refuse_infinite(state: Mapping[str, Tensor], source: str) -> None:
    name = all_finite(iter(state.items()))
    if name is not None:
        raise UserError(
            f"{source} has weights that are not finite ({name}), and its scores mean nothing; "
            "train again with a lower optimiser.lr"
        )
