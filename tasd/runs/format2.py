"""Format 2 of checkpoints: a `tasd.runs.tensorfile` whose header says all but the tensors.

Names of tensors: ``learner/NAME``, ``teacher/NAME``, ``optimiser/INDEX/NAME``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasd.config import Config
from tasd.errors import UserError
from tasd.runs.rules import read_config
from tasd.runs.shapes import refuse_misfit, shapes_of, without_heads
from tasd.runs.tensorfile import DIGEST, DamagedFile, Header

VERSION = 2


def plain_optimiser(state: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what a state dict of an optimiser holds besides tensors."""
    if state is None:
        return None
    plain = {
        index: {k: v for k, v in values.items() if not isinstance(v, Tensor)}
        for index, values in state["state"].items()
    }
    return {"state": plain, "param_groups": state["param_groups"]}


def optimiser(about: Any, tensors: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return the state dict that `plain_optimiser` and the tensors were made from."""
    if about is None:
        return None
    state = {int(index): dict(plain) for index, plain in about["state"].items()}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        if part == "optimiser":
            index, _, key = rest.partition("/")
            state[int(index)][key] = value
    groups = [
        {k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()}
        for group in about["param_groups"]
    ]
    return {"state": state, "param_groups": groups}


def noted(header: Header, path: Path) -> Mapping[str, Any]:
    """Return what the writer of a checkpoint noted. Raises `UserError` for another format."""
    if header.about.get("kind") != "checkpoint":
        raise DamagedFile("it is a file of tensors, and no checkpoint of tasd")
    version = header.about.get("format")
    if version != VERSION:
        raise UserError(
            f"{path} has checkpoint format {version}, this tasd reads {VERSION} and 1; use "
            "the tasd that wrote it"
        )
    return header.about


def check(header: Header, path: Path) -> None:
    """Refuse, before memory is taken for tensors, what does not fit the config beside it."""
    about = noted(header, path)
    config = read_config(about["config"], source=str(path))
    entries = {n: torch.empty(e.logical, device="meta") for n, e in header.entries.items()}
    del entries[DIGEST]
    light = about["optimiser"] is None
    parts: dict[str, dict[str, Any]] = {"learner": {}, "teacher": {}, "optimiser": {}}
    for name, value in entries.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = value
    states = {} if light else about["optimiser"]["state"]
    unknown = {name.partition("/")[0] for name in parts["optimiser"]} - set(states)
    if unknown:
        raise DamagedFile(f"its optimiser has a state {min(unknown)!r} that is not known")
    teacher = parts["teacher"] if about["teacher"] else None
    check_networks(config, about["classes"], parts["learner"], teacher, light=light)


def check_networks(
    config: Config,
    classes: Sequence[str],
    learner: Mapping[str, Any],
    teacher: Mapping[str, Any] | None,
    *,
    light: bool,
) -> None:
    """Raise `DamagedFile` where the networks' weights are not those of ``config``."""
    found = {"student": shapes_of(learner, "student.")}
    if teacher is not None:
        found["teacher"] = shapes_of(teacher, "model.")
    own = ("student.",) if light else ("student.", "adaptive.", "classifier.")
    other = [n for n in learner if not n.startswith(own)]
    other += [n for n in teacher or {} if not n.startswith("model.") and (light or n != "centre")]
    if other:
        raise DamagedFile(f"it has a weight {other[0][:80]!r} that is not known")
    refuse_misfit(without_heads(config) if light else config, classes=len(classes), found=found)
