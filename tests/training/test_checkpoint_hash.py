"""The hash of a checkpoint is that of the bytes that were read."""

import hashlib

from tasd.runs import checkpoint
from tasd.runs.checkpoint import load
from tests.runs import small_config, small_run


def test_a_checkpoint_replaced_while_it_is_read_keeps_its_own_hash(
    small_store, tmp_path, monkeypatch
):
    run = small_run(small_store, tmp_path / "run", small_config(episodes=2)).run
    before = hashlib.sha256(run.last.read_bytes()).hexdigest()
    original = checkpoint.read_tensors

    def replaced_meanwhile(file, **options):
        other = run.last.with_name("other.pt")
        other.write_bytes(b"another training's checkpoint")
        other.replace(run.last)
        return original(file, **options)

    monkeypatch.setattr(checkpoint, "read_tensors", replaced_meanwhile)
    saved = load(run.last)
    assert saved.progress.episode == 2
    assert saved.sha256 == before
    assert checkpoint.file_hash(run.last) != before
