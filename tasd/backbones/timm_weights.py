"""The published weights of timm's models: in the hub's cache on this machine, or fetched."""

import os
import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from tasd.backbones.packaged import WeightsMissing
from tasd.backbones.timm_models import PREFIX, library

PUBLISHED = "pretrained"  # the one name of a timm model's own weights
_PATIENCE = 5.0  # seconds for a connection to the hub, whose own client retries for half a minute


@dataclass(frozen=True)
class TimmWeights:
    """The weights that timm names for one model. name: timm's, with the tag where it was given."""

    name: str

    @property
    def there_are(self) -> bool:
        """True where weights of this model are published."""
        config = self._config
        return config is not None and bool(config.hf_hub_id or config.url)

    @property
    def path(self) -> Path | None:
        """The file in the cache of the hub or of torch, or None; nothing is fetched."""
        if not self._config.hf_hub_id:
            return self._place if self._place.is_file() else None
        from huggingface_hub import constants, try_to_load_from_cache

        repository, revision = self._repository
        for file in self._files:
            found = try_to_load_from_cache(
                repository, file, cache_dir=constants.HF_HUB_CACHE, revision=revision
            )
            if isinstance(found, str):
                return Path(found)
        return None

    def fetch(self) -> Path:
        """Return the file, from the cache or downloaded into it. Raises `UserError`."""
        found = self.path
        if found is not None:
            return found
        try:
            return self._from_hub() if self._config.hf_hub_id else self._from_url()
        except OSError as error:  # the hub's own errors are of this kind too
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
            raise WeightsMissing(
                f"cannot download the weights of {PREFIX}{self.name} ({reason}): fetch "
                f"{self.address} yourself and name the file with --weights FILE"
            ) from None

    @property
    def address(self) -> str:
        """The address of the file."""
        if not self._config.hf_hub_id:
            return self._url
        repository, revision = self._repository
        return f"{hub_address()}/{repository}/resolve/{revision or 'main'}/{self._files[0]}"

    @property
    def _config(self) -> Any:
        return library().models.get_pretrained_cfg(self.name)

    @property
    def _repository(self) -> tuple[str, str | None]:
        repository, _, revision = self._config.hf_hub_id.partition("@")
        return repository, revision or None

    @property
    def _files(self) -> list[str]:
        """The names of the file in its repository, the safe format first, as timm looks for it."""
        named = self._config.hf_hub_filename or "pytorch_model.bin"
        if named == "pytorch_model.bin":
            return ["model.safetensors", named]
        safe = named.removesuffix(".bin").replace("open_clip_pytorch_model", "open_clip_model")
        return [f"{safe}.safetensors", named] if named.endswith(".bin") else [named]

    @property
    def _url(self) -> str:
        url = self._config.url
        return str(url if isinstance(url, str) else url[0])

    @property
    def _place(self) -> Path:
        return Path(torch.hub.get_dir()) / "checkpoints" / self._url.rsplit("/", 1)[-1]

    def _from_hub(self) -> Path:
        from huggingface_hub import constants, hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set and the hub's cache does not hold them")
        check_reachable(hub_address())
        repository, revision = self._repository
        for file in self._files:
            try:
                found = hf_hub_download(
                    repository,
                    file,
                    revision=revision,
                    cache_dir=constants.HF_HUB_CACHE,
                    endpoint=hub_address(),
                    etag_timeout=_PATIENCE,
                )
                return Path(found)
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                continue
        raise OSError(f"{repository} has no file {' or '.join(self._files)}")

    def _from_url(self) -> Path:
        if self._config.custom_load:
            raise OSError("they are in a format that tasd does not read")
        self._place.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(self._url, str(self._place), progress=False)
        return self._place


def converted(
    name: str, options: dict[str, Any], state: dict[str, Tensor], own: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Bring a state dict into the layout of the model by timm's own conversion.

    It renames, and resamples position embeddings of another size. A state dict that has every
    tensor already is left as it is, and so is one that timm cannot convert as a whole.

    options: of `timm.create_model`. own: the model's tensors, without its classifier.
    """
    if all(key in state and state[key].shape == value.shape for key, value in own.items()):
        return state
    made = [_loaded(name, options, state, seed=seed) for seed in (0, 1)]
    if any(not found or not own.keys() <= found.keys() for found in made):
        return state
    # Whatever the file lacks was drawn at random, twice.
    if any(not torch.equal(made[0][key], made[1][key]) for key in own):
        return state
    return {key: made[0][key] for key in own}


def _loaded(
    name: str, options: dict[str, Any], state: dict[str, Tensor], *, seed: int
) -> dict[str, Tensor]:
    """Return all tensors of timm's model with ``state`` loaded; none where it does not fit."""
    timm = library()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            plain = timm.create_model(name, **options).state_dict()
            heads = timm.models.get_pretrained_cfg(name).classifier or ()
            heads = (heads,) if isinstance(heads, str) else heads
            # The file may come without the classifier, which is not used.
            extra = {
                key: value
                for key, value in plain.items()
                if key.startswith(tuple(f"{head}." for head in heads))
            }
            model = timm.create_model(
                name,
                pretrained=True,
                pretrained_cfg_overlay={"state_dict": extra | state},
                **options,
            )
    except (RuntimeError, KeyError, ValueError, AttributeError, AssertionError, TypeError):
        return {}
    return dict(model.state_dict())


def hub_address() -> str:
    """Return the address of the hub, which the variable HF_ENDPOINT may set."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def check_reachable(endpoint: str) -> None:
    """Raise `OSError` at once where nobody answers, unless a proxy stands between."""
    parts = urlsplit(endpoint)
    if urllib.request.getproxies().get(parts.scheme):
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE).close()
    except OSError as error:
        raise OSError(f"{parts.hostname}: {error.strerror or error}") from None
