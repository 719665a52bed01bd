"""The store of prepared videos, which prep writes and training reads. Needs no torch or ffmpeg."""

from tasd.store.format import (
    FORMAT_VERSION,
    MANIFEST,
    REPORT,
    Manifest,
    ShardEntry,
    ShardIndex,
    Video,
    shard_name,
)
from tasd.store.manifest import read_manifest, write_json, write_manifest
from tasd.store.reader import Store
from tasd.store.shard import Shard, bytes_sha256, open_shard, read_shard
from tasd.store.source import VideoSource
from tasd.store.writer import ShardWriter, remove_leftovers

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "REPORT",
    "Manifest",
    "Shard",
    "ShardEntry",
    "ShardIndex",
    "ShardWriter",
    "Store",
    "Video",
    "VideoSource",
    "bytes_sha256",
    "open_shard",
    "read_manifest",
    "read_shard",
    "remove_leftovers",
    "shard_name",
    "write_json",
    "write_manifest",
]
