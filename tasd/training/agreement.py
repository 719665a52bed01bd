"""Everything in which the ranks of a run must be equal before the first step."""

import hashlib
from functools import lru_cache
from pathlib import Path

import torch

import tasd
from tasd.config import Config
from tasd.features.store import FeatureStore
from tasd.runs.checkpoint import Progress
from tasd.store import Store
from tasd.training.state import State


def identity(
    config: Config, store: Store | FeatureStore, state: State, now: Progress
) -> dict[str, str]:
    """Return what each rank tells the others: data, settings, code, weights, and progress.

    Paths may differ from host to host; what they hold may not.
    """
    tree = config.model_dump()
    tree["data"].pop("features")
    tree["network"].pop("weights")
    told = {f"the setting {name}": value for name, value in _leaves(tree).items()}
    kind = "the features" if isinstance(store, FeatureStore) else "the store"
    return told | {
        kind: store.hash[:16],
        "the code of tasd": code_hash(),
        "the version of torch": str(torch.__version__),
        "the weights before the first step": _weights(state),
        "the progress of the run": f"episode {now.episode}, step {now.step}",
    }


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Return a digest of the sources of tasd."""
    folder = Path(tasd.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _weights(state: State) -> str:
    """A digest of both networks."""
    digest = hashlib.sha256()
    for module in (state.learner, state.teacher):
        for value in module.state_dict().values() if module is not None else ():
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _leaves(tree: dict[str, object], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _leaves(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = repr(value)
    return found
