"""`tasd check` holds the manifest against itself, the shards, the plan and the report."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prep.check import check_store, summary
from prep.report import Report
from tasd.errors import UserError
from tasd.store import Store, read_manifest, write_manifest
from tasd.store.manifest import SEAL, manifest_hash
from tests.test_kept import KEPT
from tests.videos import make_tree


@pytest.fixture
def store(run: Callable[..., Report], tmp_path: Path, clips: dict[str, Path]) -> Path:
    run(make_tree(tmp_path / "videos", clips["h264_forty.mp4"], classes=4, videos=2))
    return tmp_path / "store"


def edit(store: Path, change: Callable[[dict], object], *, seal: bool) -> None:
    """Change the manifest, and with ``seal`` its own hash to fit."""
    path = store / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    content.pop(SEAL)
    path.write_text(json.dumps(content))
    if seal:
        write_manifest(store, read_manifest(store))
    else:
        path.write_text(json.dumps(content | {SEAL: "0" * 64}))


def twice(content: dict) -> None:
    name = next(name for names in content["splits"].values() for name in names)
    for names in content["splits"].values():
        names[:] = sorted({*names, name})


CHANGES = {
    "a class in train and test": (twice, "a class is in one split"),
    "a class moved": (lambda c: c["splits"].update(val=c["splits"]["train"],
                                                   train=c["splits"]["val"]), "of plan.json"),
    "a class left out": (lambda c: c["splits"].update(train=[], val=[], test=[]), "in no split"),
    "a shard dropped": (lambda c: c["shards"].pop(), "is there and it does not name it"),
    "settings": (lambda c: c["settings"].update(size=7), "it says settings"),
    "data set": (lambda c: c.update(dataset="ucf101"), "it says data set ucf101"),
    "ffmpeg": (lambda c: c.update(ffmpeg="0.1"), "it says ffmpeg 0.1"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_manifest_is_found_even_with_a_new_hash_of_itself(store, change):
    edit(store, CHANGES[change][0], seal=True)
    faults = check_store(store, deep=False)
    assert any(CHANGES[change][1] in str(fault) for fault in faults), faults
    assert all(fault.shard == "manifest.json" for fault in faults)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_manifest_does_not_open(store, change):
    edit(store, CHANGES[change][0], seal=False)
    with pytest.raises(UserError, match="it is not as it was written") as refused:
        Store(store)
    assert "\n" not in str(refused.value)


def test_a_shard_that_is_gone_altogether_is_missed_by_plan_and_report(store):
    edit(store, lambda content: content["shards"].pop(), seal=True)
    sorted(store.glob("shard-*.h5"))[-1].unlink()
    said = " ".join(map(str, check_store(store, deep=False)))
    assert "of plan.json is missing" in said
    (store / "plan.json").unlink()
    assert "report.json counts" in " ".join(map(str, check_store(store, deep=False)))


@pytest.mark.parametrize("file", ["manifest.json", "report.json", "plan.json"])
def test_many_brackets_are_no_error_of_recursion(store, file):
    (store / file).write_text("[" * 100_000)
    if file == "manifest.json":
        with pytest.raises(UserError, match="cannot be read"):
            check_store(store, deep=False)
    else:
        check_store(store, deep=False)


@pytest.mark.parametrize("file", ["manifest.json", "shard-00000.h5", "report.json", "plan.json"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(store, file):
    (store / file).unlink()
    os.mkfifo(store / file)
    if file == "manifest.json":
        with pytest.raises(UserError, match="it is a pipe, not a file"):
            check_store(store, deep=False)
    elif file == "shard-00000.h5":
        assert "it is a pipe, not a file" in str(check_store(store, deep=False)[0])
    else:
        check_store(store, deep=False)


def test_a_store_of_before_opens_and_is_checked_with_a_remark(tmp_path):
    shutil.copytree(KEPT / "store", tmp_path / "store")
    assert check_store(tmp_path / "store", deep=False) == []
    assert "has no sha256 of itself" in summary(tmp_path / "store", deep=False)


def test_the_manifest_carries_the_hash_that_runs_record(store):
    content = json.loads((store / "manifest.json").read_text())
    assert content[SEAL] == manifest_hash(read_manifest(store)) == Store(store).hash
    assert "sha256 of itself" not in summary(store, deep=False)


def test_a_manifest_that_cannot_be_written_leaves_no_temporary_file(store, monkeypatch):
    def fail(*words: object) -> None:
        raise OSError(28, "No space left on device")

    manifest, before = read_manifest(store), (store / "manifest.json").read_bytes()
    monkeypatch.setattr("tasd.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_manifest(store, manifest)
    assert (store / "manifest.json").read_bytes() == before
    assert not list(store.glob(".*.writing"))


def test_a_data_set_that_is_a_path_is_refused(store):
    edit(store, lambda content: content.update(dataset="folder"), seal=True)
    path = store / "manifest.json"
    path.write_text(path.read_text().replace('"dataset": "folder"', '"dataset": "../../x"'))
    with pytest.raises(UserError, match="is not the name of a data set"):
        Store(store)
