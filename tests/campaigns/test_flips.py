"""Single bits that turn, in each kind of file: found, or without effect on what is read."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prep.check import check_store
from tasd.errors import UserError
from tasd.evaluation.results import read_document
from tasd.features.reader import open_features
from tasd.features.writer import seal_features
from tasd.predict.export import read_export, write_export
from tasd.predict.trained import trained_network
from tasd.runs import metrics
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.store import Store
from tests.campaigns.log import CampaignLog, folder_of, number_of
from tests.checkpoints import flip
from tests.features.hostile import write
from tests.features.test_damages import sealed
from tests.report.written import write_run
from tests.runs import small_config, small_run
from tests.stores import write_store
from tests.test_kept import KEPT


class Told(Exception):
    """A damage that was named by a remark or in a list of faults."""


def of_checkpoint(path: Path) -> Any:
    found = load(path)
    numbers = {name: tensor.numpy().tobytes() for name, tensor in found.tensors().items()}
    return numbers, found.config, found.progress, found.classes


def of_export(path: Path) -> Any:
    found = read_export(path.parent)
    numbers = {name: t.numpy().tobytes() for name, t in found.model.state_dict().items()}
    return numbers, found.config, found.classes, found.identity


def of_store(path: Path) -> Any:
    if check_store(path.parent, deep=False):
        raise Told
    with Store(path.parent) as store:
        return store.hash


def of_metrics(path: Path) -> Any:
    metrics._told.clear()
    read = Run(path.parent).read_metrics()
    if metrics._told:
        raise Told
    return read


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "last.pt": ("run/checkpoints/last.pt", of_checkpoint),
    "best.pt": ("run/checkpoints/best.pt", of_checkpoint),
    "format 1": ("kept/run/checkpoints/last.pt", of_checkpoint),
    "weights of an export": ("export/model.safetensors", of_export),
    "config of an export": ("export/config.json", of_export),
    "features of tasd": ("cached.h5", lambda path: open_features(path).hash),
    "features in a cache": ("cached.h5", lambda path: open_features(path, own=True).hash),
    "features of a person, sealed": ("mine.h5", lambda path: open_features(path).hash),
    "shard": ("store/shard-00000.h5", of_store),
    "manifest": ("store/manifest.json", of_store),
    "result": ("tested/evaluation/test-5w1s-2q-400e-seed0.json", read_document),
    "config of a run": ("run/config.json", lambda path: Run(path.parent).config()),
    "metrics": ("run/metrics.jsonl", of_metrics),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    store = write_store(folder / "store", frames=2, side=40, videos=3)
    run = small_run(store, folder / "run", small_config()).run
    write_export(trained_network(run, store=store), folder / "export")
    write_run(folder / "tested")
    shutil.copytree(KEPT, folder / "kept")
    sealed(folder / "cached.h5")
    seal_features(write(folder / "mine.h5"))
    return folder


def outcome(path: Path, read: Callable[[Path], Any], sound: Any, number: int) -> dict[str, Any]:
    """Turn one bit, read the file, and turn it back."""
    bit = random.Random(number).randrange(8 * path.stat().st_size)
    flip(path, bit=bit)
    try:
        result = "no effect" if read(path) == sound else "unnoticed"
    except Told:
        result = "found"
    except UserError as error:
        result = "found" if "\n" not in str(error) else "several lines"
    finally:
        flip(path, bit=bit)
    return {"number": number, "bit": bit, "result": result}


def flipped(files: Path, kind: str, log: CampaignLog, count: int) -> Counter:
    where, read = READERS[kind]
    sound = read(files / where)
    for number in log.left(count):
        log.add(**outcome(files / where, read, sound, number))
    assert read(files / where) == sound
    return Counter(line["result"] for line in log.lines)


@pytest.mark.parametrize("kind", READERS)
def test_a_turned_bit_is_found_or_has_no_effect(files, tmp_path, kind, capsys):
    found = flipped(files, kind, CampaignLog(tmp_path, "flips"), 10)
    assert set(found) <= {"found", "no effect"}
    assert found["found"] > 4
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", READERS)
def test_three_hundred_turned_bits_are_found_or_have_no_effect(files, tmp_path, kind):
    count = number_of("FLIPS", 300)
    log = CampaignLog(folder_of(tmp_path), "flips-" + kind.replace(" ", "-"))
    found = flipped(files, kind, log, count)
    print(json.dumps({kind: found}))
    assert set(found) <= {"found", "no effect"}
    assert found.total() >= count
