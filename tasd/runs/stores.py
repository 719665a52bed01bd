"""The store that a run was trained on."""

from collections.abc import Sequence
from pathlib import Path

from tasd.errors import UserError
from tasd.features.reader import open_features
from tasd.features.store import FeatureStore
from tasd.home import home
from tasd.runs.checkpoint import Checkpoint
from tasd.store import MANIFEST, Store, read_manifest
from tasd.store.manifest import manifest_hash


def find_store(given: Path | None, saved: Checkpoint) -> Store | FeatureStore:
    """Open the store ``given``, or the one under $TASD_HOME that the checkpoint was trained on.

    For a network that was trained on cached features it is their file. Where no store has the
    checkpoint's hash, the only store of its data set is taken. Raises `UserError` where there is
    none, or more than one.
    """
    cached = saved.config.data.features
    if cached is not None:
        return open_features(given or Path(cached))
    if given is not None:
        return Store(given)
    found = {path.parent: _manifest(path.parent) for path in _manifests()}
    same = [path for path, (hash, _) in found.items() if hash == saved.store_hash]
    alike = [path for path, (_, dataset) in found.items() if dataset == saved.dataset]
    for candidates in (same, alike):
        if len(candidates) == 1:
            return Store(candidates[0])
    there = f"several of {saved.dataset}" if alike else f"none of {saved.dataset}"
    raise UserError(
        f"the checkpoint was trained on a store of {saved.dataset} ({saved.store_hash[:12]}), and "
        f"{home() / 'stores'} holds {there}; name it with --store"
    )


def _manifests() -> Sequence[Path]:
    return sorted((home() / "stores").glob(f"*/{MANIFEST}"))


def _manifest(folder: Path) -> tuple[str, str]:
    try:
        manifest = read_manifest(folder)
    except UserError:  # damaged, or of another version: it cannot be the store of this run
        return "", ""
    return manifest_hash(manifest), manifest.dataset
