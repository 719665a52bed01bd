"""ONNX: backbone and temporal encoder of a network in one file, checked against torch."""

import copy
import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from tasd.errors import UserError
from tasd.files import replacing
from tasd.model import Model
from tasd.predict.trained import TrainedNetwork
from tasd.runs.tracker import reason

ONNX = "model.onnx"
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
OPSET = 18
MOST = 1e-3  # difference to torch, as a share of the largest value
CHECKED = (1, 3)  # numbers of videos; 2 is the one that is traced


@dataclass(frozen=True)
class Checked:
    """A file and its largest difference to torch: absolute, and as a share of the largest value.

    frames, maps: of F and of A.
    """

    path: Path
    frames: float
    maps: float
    share: float

    @property
    def summary(self) -> str:
        """The differences in a few words."""
        return (
            f"largest difference to torch: {self.frames:.1e} in frames, {self.maps:.1e} in maps "
            f"({self.share:.1e} of the largest value)"
        )


class Encoder(nn.Module):
    """Pixels -> F and A; all of a network but its matcher."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, pixels: UInt8[Tensor, "videos time height width 3"]
    ) -> tuple[
        Float[Tensor, "videos time channels"],
        Float[Tensor, "videos maps_channels maps_time rows columns"],
    ]:
        """Compute frames F and maps A."""
        found = self.model(pixels)
        return found.frames, found.maps


def check_packages() -> None:
    """Raise `UserError` where a package is missing that `write_onnx` needs."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--onnx: the package {missing[0]} is not installed; pip install -c constraints.txt "
            f"{' '.join(missing)}, or leave it out"
        )


def write_onnx(trained: TrainedNetwork, folder: Path) -> Checked:
    """Write backbone and encoder in float32, and compare them with torch on random pixels.

    The input ``pixels`` is uint8 (videos, time, height, width, 3), RGB, of any number of videos;
    the outputs are ``frames``, F, and ``maps``, A. Raises `UserError`, also where they differ by
    more than `MOST` of the largest value; then there is no file.
    """
    check_packages()
    model = copy.deepcopy(trained.model).cpu().float()
    model.precision = "float32"
    encoder = Encoder(model).eval().requires_grad_(False)
    data = trained.config.data
    shape = (data.frames, data.crop, data.crop, 3)
    path = folder / ONNX
    try:
        with replacing(path) as temporary:
            _export(encoder, _pixels(2, shape), temporary)
            found = _compare(encoder, temporary, shape, path)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{path} cannot be written ({reason(error)}); leave out --onnx, which "
            f"{trained.config.network.backbone} may not be able to do"
        ) from None
    return found


def _export(encoder: Encoder, pixels: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own parts
        torch.onnx.export(
            encoder,
            (pixels,),
            str(path),
            dynamo=True,
            external_data=False,
            input_names=["pixels"],
            output_names=["frames", "maps"],
            dynamic_shapes={"pixels": {0: torch.export.Dim("videos")}},
            opset_version=OPSET,
            verbose=False,
        )


def _compare(encoder: Encoder, file: Path, shape: tuple[int, ...], path: Path) -> Checked:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    differences, shares = np.zeros(2), [0.0]
    for videos in CHECKED:
        pixels = _pixels(videos, shape)
        expected = [tensor.numpy() for tensor in encoder(pixels)]
        given = session.run(["frames", "maps"], {"pixels": pixels.numpy()})
        found = [float(np.abs(a - b).max()) for a, b in zip(expected, given, strict=True)]
        shares += [d / float(np.abs(a).max()) for d, a in zip(found, expected, strict=True)]
        differences = np.maximum(differences, found)
    if not max(shares) <= MOST:
        raise UserError(
            f"{path} would differ from torch by {max(shares):.1e} of the largest value, more than "
            f"{MOST:.0e}, and is not written; leave out --onnx"
        )
    return Checked(path, float(differences[0]), float(differences[1]), max(shares))


def _pixels(videos: int, shape: tuple[int, ...]) -> UInt8[Tensor, "videos time height width 3"]:
    draw = torch.Generator().manual_seed(videos)
    return torch.randint(0, 256, (videos, *shape), dtype=torch.uint8, generator=draw)
