"""Support files: the clips of a support by name, with their classes and their features.

One safetensors file: ``frames`` float32 (clips, frames, channels) and, for matchers that read them,
``maps``. Its metadata say which network the features come from. See docs/predict.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tasd.errors import UserError, cause
from tasd.files import as_json, replacing
from tasd.predict.examples import Examples
from tasd.predict.trained import TrainedNetwork
from tasd.types import Features

SUFFIX = ".safetensors"
FORMAT, VERSION = "tasd-support", "1"
DIMENSIONS = {"frames": 3, "maps": 5}
WAY_OUT = "write it again (tasd predict --support DIR --save-support FILE)"


@dataclass(frozen=True)
class SupportFile:
    """Examples from a file, and their origin: the settings and the name of a network, or None."""

    path: Path
    examples: Examples
    origin: Mapping[str, Any] | None

    def check(self, network: TrainedNetwork) -> None:
        """Raise `UserError` where another network computed the features."""
        assert self.origin is not None
        expected, found = network.feature_settings, self.origin["settings"]
        if expected == found:
            return
        differing = [name for name in expected if expected[name] != found.get(name)]
        raise UserError(
            f"the features in {self.path} come from {self.origin['name']}, and this is "
            f"{network.name} (they differ in: {', '.join(differing) or 'other settings'}); name "
            "that network, or learn the support again from its clips"
        )


def is_support_file(path: Path) -> bool:
    """True for what can only be meant as a support file: its suffix, or a file."""
    return path.suffix == SUFFIX or path.is_file()


def write_support(path: Path, examples: Examples, network: TrainedNetwork | None) -> Path:
    """Write a support file whole or not at all. Raises `UserError`.

    network: that the features come from; None for features of any origin.
    """
    if path.suffix != SUFFIX:
        raise UserError(f"the support file {path} must end in {SUFFIX}; name it {path}{SUFFIX}")
    origin = None
    if network is not None:
        origin = {"name": network.name, "settings": network.feature_settings}
    about = {"clips": [str(c) for c in examples.clips], "classes": list(examples.classes)}
    for text in (*about["clips"], *about["classes"]):
        if not _plain(text):
            raise UserError(f"the name {text!r} has characters that no support file may have")
    tensors = {"frames": examples.features.frames.float().cpu().contiguous()}
    if examples.features.maps is not None:
        tensors["maps"] = examples.features.maps.float().cpu().contiguous()
    metadata = {"format": FORMAT, "version": VERSION, "origin": as_json(origin, ascii=True)}
    metadata |= {name: as_json(value, ascii=True) for name, value in about.items()}
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata=metadata)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be written ({cause(error)}); name another file") from None
    return path


def read_support(path: Path) -> SupportFile:
    """Read a support file. Raises `UserError` for a missing, damaged or forged one."""
    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            _check_format(path, metadata)
            names = [name for name in DIMENSIONS if name in list(file.keys())]
            tensors = {name: _checked(path, name, file.get_tensor(name)) for name in names}
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserError(
            f"the support {path} is neither a folder nor a support file ({reason}); give a folder "
            "<class>/<clips>, or a file that --save-support wrote"
        ) from None
    if "frames" not in tensors:
        raise _damaged(path, "it holds no features")
    clips, classes = (_names(path, metadata, key) for key in ("clips", "classes"))
    counts = {len(clips), len(classes), *(len(tensor) for tensor in tensors.values())}
    if len(counts) != 1:
        raise _damaged(path, f"{len(clips)} clips, {len(classes)} classes and features of others")
    maps = tensors.get("maps")
    if maps is not None and maps.shape[1:3] != tensors["frames"].shape[:0:-1]:
        raise _damaged(path, "its maps and its features have other shapes")
    examples = Examples(tuple(map(Path, clips)), tuple(classes), Features(tensors["frames"], maps))
    return SupportFile(path, examples, _origin(path, metadata))


def _check_format(path: Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path} is not a support file of tasd; give one that --save-support wrote, or a folder"
        )
    if metadata.get("version") != VERSION:
        raise UserError(
            f"{path} has version {metadata.get('version')!r:.40} of its format, this tasd reads "
            f"version {VERSION!r}; {WAY_OUT}"
        )


def _checked(path: Path, name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the file, where type, shape and values are right."""
    if tensor.dtype != torch.float32:
        raise _damaged(path, f"{name} is {str(tensor.dtype)[6:]}, not float32")
    if tensor.ndim != DIMENSIONS[name] or 0 in tensor.shape:
        raise _damaged(path, f"{name} has the shape {tuple(tensor.shape)}")
    if not bool(torch.isfinite(tensor).all()):
        raise _damaged(path, f"{name} has values that are not finite")
    return tensor


def _names(path: Path, metadata: Mapping[str, str], key: str) -> list[str]:
    names = _json(path, metadata, key)
    if not isinstance(names, list) or not all(isinstance(n, str) and _plain(n) for n in names):
        raise _damaged(path, f"its {key} are no list of names")
    return names


def _origin(path: Path, metadata: Mapping[str, str]) -> dict[str, Any] | None:
    origin = _json(path, metadata, "origin")
    if origin is None:
        return None
    if (
        not isinstance(origin, dict)
        or not isinstance(origin.get("name"), str)
        or not _plain(origin["name"])
        or not isinstance(origin.get("settings"), dict)
    ):
        raise _damaged(path, "it does not say which network its features come from")
    return origin


def _json(path: Path, metadata: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except (KeyError, ValueError, RecursionError):
        raise _damaged(path, f"its {key} cannot be read") from None


def _plain(text: str) -> bool:
    """True for a name that a terminal shows as it is, on one line."""
    return bool(text) and text.isprintable()


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"the support file {path} is damaged: {why}; {WAY_OUT}")
