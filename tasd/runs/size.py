"""The size of a checkpoint's file before it is written."""

from tasd.runs.checkpoint import Checkpoint, notes_of
from tasd.runs.tensorfile import file_bytes


def checkpoint_file_bytes(saved: Checkpoint) -> int:
    """Return the bytes of the file that `Checkpoint.save` writes."""
    return file_bytes(saved.tensors(), notes_of(saved))
