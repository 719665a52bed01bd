"""Weights for a backbone: from a file, an installed package, torchvision's download, or none."""

import urllib.error
import zipfile
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from tasd.backbones.base import Backbone, Published
from tasd.backbones.packaged import Packaged, WeightsMissing
from tasd.backbones.timm_weights import TimmWeights
from tasd.config import NetworkOptions
from tasd.errors import UserError
from tasd.types import Normalisation

NOT_TENSORS = "it is no file of torch.save"
BatchNorm = Literal["auto", "frozen", "live"]


def frozen(source: str, batchnorm: BatchNorm) -> bool:
    """True where BatchNorm keeps its statistics: with pretrained weights, unless set to "live".

    An episode is a batch of a few classes, a poor sample for statistics. But the initial
    statistics of random weights fit no features, so that "none" is always live. Raises
    `UserError`.
    """
    if source == "none" and batchnorm == "frozen":
        raise UserError(
            "network.batchnorm = 'frozen' needs pretrained weights: with --weights none BatchNorm "
            "would never learn its statistics; use 'auto' or 'live'"
        )
    return source != "none" and batchnorm != "live"


def saw_tests(backbone: Backbone, source: str, *, dataset: str) -> bool:
    """True where pretrained weights have seen the test classes of ``dataset``.

    Backbones of whole clips are published with Kinetics-400 weights alone. timm's models are of
    images; one whose name speaks of Kinetics is taken to have seen it.
    """
    return source != "none" and backbone.saw_kinetics and dataset == "kinetics"


def refuse_overlap(backbone: Backbone, network: NetworkOptions, *, dataset: str) -> None:
    """Refuse weights that have seen the test classes: the result would be no few-shot result."""
    seen = saw_tests(backbone, network.weights, dataset=dataset)
    if seen and not network.allow_pretrained_overlap:
        raise UserError(
            f"--weights {network.weights}: pretrained weights of {network.backbone} have seen all "
            "classes of Kinetics-400, the test classes of this data set among them; train from "
            "scratch with --weights none, or accept it with --allow-pretrained-overlap, which "
            "marks every result"
        )


def at_hand(backbone: Backbone, source: str) -> bool:
    """True where `load` would download nothing: a file that is there, or published weights."""
    if source not in backbone.pretrained:
        return source == "none" or Path(source).is_file()
    weights = backbone.pretrained[source].weights
    if isinstance(weights, Packaged | TimmWeights):
        return weights.path is not None
    return _place(weights.url).is_file()


def check(backbone: Backbone, source: str) -> None:
    """Raise `UserError` where ``source`` is neither "none", published for it, nor a file.

    Of a file the first bytes are read.
    """
    if source == "none" or source in backbone.pretrained:
        return
    path = Path(source)
    if not path.is_file():
        raise _no_file(path, names=[*backbone.pretrained, "none"])
    try:
        begins = _begins_as_tensors(path)
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    if not begins:
        raise _unreadable(path, NOT_TENSORS)


def _begins_as_tensors(path: Path) -> bool:
    """True where a file begins as torch.save or safetensors begin theirs, and is not empty."""
    with path.open("rb") as file:
        first = file.read(9)
    if path.suffix == ".safetensors":
        return first[8:] == b"{" and int.from_bytes(first[:8], "little") < path.stat().st_size
    return first.startswith((b"PK\x03\x04", b"\x80"))  # a ZIP archive, or a bare pickle


def load(backbone: Backbone, source: str, *, batchnorm: BatchNorm = "auto") -> Normalisation:
    """Fill ``backbone`` from ``source``: a published name, the path of a file, or "none".

    Raises `UserError`.
    """
    if source == "none":
        return Normalisation()
    # A file is taken for weights that were trained like the published ones.
    published = backbone.pretrained.get(source) or backbone.file_layout
    if published is None or source not in backbone.pretrained:
        state = _read(Path(source), names=[*backbone.pretrained, "none"])
    elif isinstance(published.weights, Packaged):
        state = published.weights.read(source)
    elif isinstance(published.weights, TimmWeights):
        state = _read(published.weights.fetch(), names=[*backbone.pretrained, "none"])
    else:
        state = _download(published.weights, source)
    if published is not None:
        state = backbone.adapt(state)
        state = {published.rename(key): tensor for key, tensor in state.items()}
    _fill(backbone, state, source=source)
    if batchnorm == "live" and _folded(backbone):
        raise UserError(
            f"--weights {source}: BatchNorm is folded into these weights (every running variance "
            "is 1), and network.batchnorm = 'live' would spoil them; use 'auto' or 'frozen'"
        )
    return Normalisation() if published is None else Normalisation(published.mean, published.std)


def _download(weights: Published, name: str) -> dict[str, Tensor]:
    url = weights.url
    place = _place(url)
    try:
        state = dict(weights.get_state_dict(progress=False, check_hash=True))
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        reason = getattr(error, "reason", error)
        raise WeightsMissing(
            f"cannot download the {name} weights ({reason}): fetch {url} yourself and put it at "
            f"{place}, or name a file with --weights FILE"
        ) from None
    return state


def _place(url: str) -> Path:
    """Return the file that torch keeps a download in."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def _read(path: Path, *, names: list[str]) -> dict[str, Tensor]:
    if not path.is_file():
        raise _no_file(path, names=names)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _unreadable(path, _reason(path, error)) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(
            f"--weights {path} holds no state dict of plain tensors; save one with "
            "torch.save(model.state_dict(), FILE)"
        )
    return {key.removeprefix("module."): value for key, value in state.items()}


def _reason(path: Path, error: Exception) -> str:
    """The reason in our words: torch's own advise to run what the file holds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "there is no memory for it"
    if not zipfile.is_zipfile(path) and path.suffix != ".safetensors":
        return NOT_TENSORS
    if "weights_only" in str(error) or "WeightsUnpickler" in str(error):
        return "it holds more than tensors, or is damaged"
    return (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0]


def _unreadable(path: Path, reason: str | None) -> UserError:
    return UserError(
        f"--weights {path} cannot be read as a state dict ({reason}); save plain tensors with "
        "torch.save(model.state_dict(), FILE)"
    )


def _no_file(path: Path, *, names: list[str]) -> UserError:
    return UserError(
        f"--weights {path}: there is no such file; give a state dict (.pth, .safetensors) or "
        f"one of: {', '.join(names)}"
    )


def _fill(backbone: Backbone, state: dict[str, Tensor], *, source: str) -> None:
    own = backbone.state_dict()
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = sorted(own.keys() - counters - state.keys())
    wrong = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    if missing or wrong:
        example = missing[0] if missing else wrong[0]
        raise UserError(
            f"--weights {source} does not fit the backbone: {len(missing)} of its {len(own)} "
            f"tensors are missing and {len(wrong)} have another shape (for one {example!r}); give "
            "the weights of this backbone, in the layout of the published ones, or another "
            "--backbone"
        )
    broken = sorted(key for key in own if key in state and not torch.isfinite(state[key]).all())
    if broken:
        raise UserError(
            f"--weights {source}: {broken[0]!r} holds values that are not finite; give another file"
        )
    backbone.load_state_dict({key: state.get(key, own[key]).to(own[key].dtype) for key in own})


def _folded(backbone: Backbone) -> bool:
    """True where every running variance is 1: folding leaves that, training never does."""
    variances = [
        norm.running_var
        for norm in backbone.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_var is not None
    ]
    ones = [torch.allclose(v, torch.ones_like(v), atol=1e-3) for v in variances]
    return bool(ones) and all(ones)
