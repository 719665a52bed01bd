"""The base of the estimators: their network, opened where it is first needed, and its features."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32

from prep.ffmpeg_process import find_ffmpeg
from tasd.errors import UserError
from tasd.predict.cache import whole_clips
from tasd.predict.clips import ClipFeatures
from tasd.predict.inputs import clip_paths, feature_rows, is_features
from tasd.predict.opened import OF_BACKBONE, open_network
from tasd.predict.support import PathLike
from tasd.predict.trained import TrainedNetwork
from tasd.registry import pick

Pool = Literal["mean", "frames"]
POOLS = {"mean": True, "frames": False}


class ClipEstimator:
    """An estimator on clips, whose parameters name a run or a pretrained backbone.

    A pickle holds neither the network nor anything on a device. The network is opened again, and
    refused where it is no longer the same.
    """

    backbone: str | None
    run: PathLike | None
    store: PathLike | None
    device: str
    cache: bool
    n_features_in_: int
    _given: tuple[dict[str, Any], TrainedNetwork]

    @property
    def network_(self) -> TrainedNetwork:
        """The network that features come from, opened where it is not open yet.

        Raises `UserError`.
        """
        network: TrainedNetwork | None = vars(self).get("_network")
        if network is None:
            network = self._open()
            expected = vars(self).get("_expected")
            if expected is not None and expected != network.feature_settings:
                raise UserError(
                    f"{network.name} has changed since this {type(self).__name__} was fit; fit it "
                    "again"
                )
            self._network = network
        return network

    def embed(
        self, X: Any, pool: str = "mean"
    ) -> Float32[np.ndarray, "clips channels"] | Float32[np.ndarray, "clips frames channels"]:
        """Return the features of each clip: their mean over the frames, or those of all frames.

        X: clips, or features, which are only pooled. pool: mean or frames. Works before ``fit``.
        The row of a clip that cannot be read is NaN, with a warning that gives the reason.

        Raises `UserError`.
        """
        mean = pick(POOLS, pool, what="pool")
        if is_features(X):
            frames = feature_rows(self, X, reset=not hasattr(self, "n_features_in_")).frames
        else:
            frames = self._frames(clip_paths(X))
        rows: np.ndarray = (frames.mean(dim=1) if mean else frames).numpy()
        return rows

    def _frames(self, paths: Sequence[Path]) -> torch.Tensor:
        """The frame features of clips, NaN where a clip cannot be read."""
        network = self.network_
        steps = network.model.backbone.steps(network.config.data.frames)
        shape = steps, network.model.matcher.channels
        found: dict[Path, torch.Tensor] = {}
        for clip in self.features_of(list(dict.fromkeys(paths)), keep=True):
            if clip.features is None:
                warnings.warn(f"{clip.path}: {clip.problem}", stacklevel=4)
                found[clip.path] = torch.full(shape, torch.nan)
            else:
                found[clip.path] = clip.features.frames[0].cpu()
        return torch.stack([found[path] for path in paths]) if paths else torch.empty(0, *shape)

    def features_of(self, paths: Sequence[Path], *, keep: bool) -> Iterator[ClipFeatures]:
        """Yield the features of whole clips, in order.

        With ``cache`` they are read from it, and with ``keep`` those that are not there are stored.
        """
        keep = keep and self.cache
        return whole_clips(self.network_, paths, find_ffmpeg(), use=self.cache, keep=keep)

    def _parameters(self) -> dict[str, Any]:
        """The parameters that name the network."""
        names = ("backbone", "run", "store", "device", *OF_BACKBONE)
        return {name: getattr(self, name, None) for name in names}

    def _open(self) -> TrainedNetwork:
        """The network that was handed in for these parameters, or the one that they name."""
        given: tuple[dict[str, Any], TrainedNetwork] | None = vars(self).get("_given")
        if given is not None and given[0] == self._parameters():
            return given[1]
        return open_network(self._parameters())

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is open; keep what the network must be when it is opened again."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        network = state.pop("_network", None)
        if network is not None:
            state["_expected"] = network.feature_settings
        state.pop("_given", None)
        return state
