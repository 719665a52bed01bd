"""Features of support clips, cached in files whose names hash all that the features depend on."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from prep.ffmpeg_process import Ffmpeg
from prep.shard import fingerprint
from tasd.files import replacing
from tasd.predict.clips import clip_features, source_of, whole_clip
from tasd.predict.trained import TrainedNetwork
from tasd.types import Features


@dataclass(frozen=True)
class SupportFeatures:
    """Features of the support clips.

    features: of each clip that could be read. problems: the reason for each of the others.
    cache_hits: number of clips whose features were cached.
    """

    features: Mapping[Path, Features]
    problems: Mapping[str, str]
    cache_hits: int


def support_features(
    trained: TrainedNetwork, clips: Mapping[str, Sequence[Path]], tool: Ffmpeg, *, keep: bool
) -> SupportFeatures:
    """Read the features of the clips of all classes from the cache, and compute the others.

    keep: use the cache in the folder of the network; False computes all and stores nothing.
    """
    cache = SupportCache(trained.path / "features" / "support" if keep else None, trained, tool)
    paths = list(dict.fromkeys(path for of_class in clips.values() for path in of_class))
    features = {path: cached for path in paths if (cached := cache.get(path)) is not None}
    cache_hits, problems = len(features), {}
    missing = [path for path in paths if path not in features]
    views_of = whole_clip(trained.config.data.frames)
    for clip in clip_features(trained, missing, tool, settings=trained.frames, views_of=views_of):
        if clip.features is None:
            problems[str(clip.path)] = clip.problem
        else:
            features[clip.path] = clip.features
            cache.put(clip.path, clip.features)
    return SupportFeatures(features, problems, cache_hits)


class SupportCache:
    """Features of clips, a file for each, below ``folder``; None caches nothing."""

    def __init__(self, folder: Path | None, trained: TrainedNetwork, tool: Ffmpeg) -> None:
        self.folder = folder
        self._device = trained.model.mean.device
        data, model = trained.config.data, trained.model
        self._key = {
            "checkpoint": trained.identity,
            "network": trained.network,
            "precision": model.precision,
            "settings": trained.frames.as_json(),
            "frames": data.frames,
            "crop": data.crop,
            "ffmpeg": tool.version,
        }

    def get(self, clip: Path) -> Features | None:
        """The cached features of a clip with this content; None where there are none."""
        if self.folder is None:
            return None
        try:
            found = load_file(self._file(clip), device=str(self._device))
            return Features(found["frames"], found.get("maps"))
        except (OSError, SafetensorError, KeyError):  # missing or damaged
            return None

    def put(self, clip: Path, features: Features) -> None:
        """Cache the features of a clip; does nothing where the folder cannot be written to."""
        if self.folder is None:
            return
        tensors = {"frames": features.frames.cpu().contiguous()}
        if features.maps is not None:
            tensors["maps"] = features.maps.cpu().contiguous()
        with (
            contextlib.suppress(OSError, SafetensorError),
            replacing(self._file(clip)) as temporary,
        ):
            save_file(tensors, temporary)

    def _file(self, clip: Path) -> Path:
        assert self.folder is not None
        key = {**self._key, "clip": fingerprint(source_of(clip, clip.name), Path("/"))}
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.folder / f"clip-{digest[:32]}.safetensors"
