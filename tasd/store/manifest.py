"""manifest.json: written last, so that its presence means a complete store."""

import hashlib
import json
import os
import uuid
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tasd.errors import UserError
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


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Declare the store complete: atomically, after every shard is on the disk."""
    content = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(manifest)}
    write_json(folder / MANIFEST, content)


def write_json(path: Path, content: object) -> None:
    """Write a JSON file atomically, with the same bytes for the same content."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    try:
        temporary.write_text(text, encoding="utf-8")
        fsync(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync(path.parent)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a store.

    Raises `UserError` where there is no store, an unfinished one, or one of another version.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(_absent(folder)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / MANIFEST} cannot be read: {error}") from None
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise UserError(f"{folder / MANIFEST} is not the manifest of a store; {_way_out(folder)}")
    version = content.pop("version", None)
    if version != FORMAT_VERSION:
        raise UserError(
            f"the store {folder} has format version {version}; this release reads version "
            f"{FORMAT_VERSION}: install the release that wrote it, or prepare it again"
        )
    return _parse(folder, content)


def manifest_hash(manifest: Manifest) -> str:
    """A sha256 that names the content of a store."""
    return hashlib.sha256(canonical_json(asdict(manifest)).encode()).hexdigest()


def _parse(folder: Path, content: object) -> Manifest:
    try:
        manifest = TypeAdapter(Manifest).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        problem = f"{field}: {first['msg']}"
    else:
        problem = _problem(manifest)
    if problem:
        raise UserError(f"{folder / MANIFEST} is damaged ({problem}); {_way_out(folder)}")
    return manifest


def _problem(manifest: Manifest) -> str:
    files = [entry.file for entry in manifest.shards]
    # A plain name: a manifest from elsewhere must not lead out of its folder.
    strange = [file for file in files if not SHARD_PATTERN.fullmatch(file)]
    if strange:
        return f"{strange[0]!r} is not the name of a shard"
    if len(set(files)) < len(files):
        return "a shard is named twice"
    if manifest.splits is not None and set(manifest.splits) != set(SPLIT_NAMES):
        return f"splits are {', '.join(SPLIT_NAMES)}"
    return ""


def _absent(folder: Path) -> str:
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no store at {folder}; make one with tasd prep, or name another"
    except OSError as error:
        return f"the folder {folder} cannot be read: {error.strerror}"
    if any(SHARD_PATTERN.match(name) for name in names):
        return f"the store {folder} is unfinished (no {MANIFEST}); run the same tasd prep again"
    return f"{folder} is not a store (no {MANIFEST} in it); make one with tasd prep"


def _way_out(folder: Path) -> str:
    return f"run the same tasd prep again to mend {folder}"
