"""manifest.json: written last, so that its presence means a complete store."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tasd.errors import UserError
from tasd.files import as_json, read_json, replacing
from tasd.foreign import open_regular, path_part
from tasd.store.format import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    SHARD_PATTERN,
    SPLIT_NAMES,
    Manifest,
    canonical_json,
    fsync,
)

SEAL = "sha256"  # of the manifest's content: the hash by which runs know the store


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, atomically, when every shard is on the disk. Raises `OSError`."""
    content = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(manifest)}
    write_json(folder / MANIFEST, {**content, SEAL: manifest_hash(manifest)})


def write_json(path: Path, content: object) -> None:
    """Write a JSON file atomically, the same bytes for the same content. Raises `OSError`."""
    text = as_json(content, sort_keys=True, indent=1) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    fsync(path.parent)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a store.

    Raises `UserError` where there is no store, or it is unfinished or of another version.
    """
    return _parse(folder, _content(folder))


def is_sealed(folder: Path) -> bool:
    """Return True for a manifest that carries its own hash; earlier versions wrote none."""
    return SEAL in _content(folder)


def _content(folder: Path) -> dict[str, Any]:
    try:
        open_regular(folder / MANIFEST).close()  # a pipe would be waited for
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(_absent(folder)) from None
    except OSError as error:
        raise UserError(
            f"{folder / MANIFEST} cannot be read ({error.strerror}); {_way_out(folder)}"
        ) from None
    return read_json(
        folder / MANIFEST,
        format=FORMAT,
        version=FORMAT_VERSION,
        what="the manifest of a store",
        way_out=f"{_way_out(folder)}, or use the release of tasd that wrote it",
    )


def manifest_hash(manifest: Manifest) -> str:
    """Return a sha256 that names the content of a store."""
    return hashlib.sha256(canonical_json(asdict(manifest)).encode()).hexdigest()


def _parse(folder: Path, content: Mapping[str, Any]) -> Manifest:
    try:
        manifest = TypeAdapter(Manifest).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        problem = f"{field}: {first['msg']}"
    else:
        problem = _problem(manifest)
        if not problem and content.get(SEAL, hashed := manifest_hash(manifest)) != hashed:
            problem = "it is not as it was written: its sha256 is that of another content"
    if problem:
        raise UserError(f"{folder / MANIFEST} is damaged ({problem}); {_way_out(folder)}")
    return manifest


def _problem(manifest: Manifest) -> str:
    files = [entry.file for entry in manifest.shards]
    # Only plain names: a manifest from elsewhere must not point out of its folder.
    strange = [file for file in files if not SHARD_PATTERN.fullmatch(file)]
    if strange:
        return f"{strange[0]!r} is not the name of a shard"
    if len(set(files)) < len(files):
        return "a shard is named twice"
    if path_part(manifest.dataset) != manifest.dataset:
        return f"{manifest.dataset[:60]!r} is not the name of a data set"
    if manifest.splits is not None and set(manifest.splits) != set(SPLIT_NAMES):
        return f"the splits are not {', '.join(SPLIT_NAMES)}"
    return ""


def _absent(folder: Path) -> str:
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no store at {folder}; make one with tasd prep, or name another folder"
    except OSError as error:
        return f"the folder {folder} cannot be read ({error.strerror}); change its permissions"
    # Anywhere in a name: the temporary files of killed writers count too.
    if any(SHARD_PATTERN.search(name) for name in names):
        return f"the store {folder} is unfinished (no {MANIFEST}); run the same tasd prep again"
    return f"{folder} is not a store (no {MANIFEST} in it); make one with tasd prep"


def _way_out(folder: Path) -> str:
    return f"run the same tasd prep again to mend {folder}"
