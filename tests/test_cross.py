"""The table of runs trained on one set of features and tested on another."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from tests import cross

SPLITS = {"train": 6, "val": 5, "test": 5}
CHANNELS, TIME, VIDEOS = 16, 4, 4


def write_set(path: Path, name: str, *, seed: int, shared: int = 0) -> Path:
    """Write noise in which videos of a class are alike; ``shared`` classes have other names."""
    random = np.random.default_rng(seed)
    of = [split for split, count in SPLITS.items() for _ in range(count)]
    names = [f"{name} {number}" for number in range(len(of))]
    names[:shared] = [f"common {number}" for number in range(shared)]
    centre = np.repeat(random.normal(size=(len(of), 1, CHANNELS)), VIDEOS, axis=0)
    features = centre + random.normal(size=(len(of) * VIDEOS, TIME, CHANNELS))
    with h5py.File(path, "w") as file:
        file["features"] = np.abs(features).astype(np.float32)
        file["video_name"] = [f"{one}/v{video}" for one in names for video in range(VIDEOS)]
        file["video_class"] = np.repeat(np.arange(len(of)), VIDEOS)
        file["class_name"], file["class_split"] = names, of
        file.attrs["weights"] = "imagenet"
    return path


@pytest.mark.filterwarnings("default")
def test_each_set_is_tested_on_its_own_classes_and_on_all_of_the_other(tmp_path, capsys):
    one = [write_set(tmp_path / f"a{i}.h5", "a", seed=i, shared=2) for i in range(2)]
    other = [write_set(tmp_path / f"b{i}.h5", "b", seed=9 + i, shared=2) for i in range(2)]
    sets = [f"{name}={','.join(map(str, files))}" for name, files in (("a", one), ("b", other))]
    words = [str(tmp_path / "out"), *sets, "--variant", "WCCN 5 alone", "--tested", "50"]
    cross.main(words)
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0] == "| variant | trained on | test on a | test on b |"
    assert [line.count(" own |") for line in lines if "| WCCN" in line] == [1, 1]
    assert said.endswith("a training class: a -> b: 2, b -> a: 2\n")  # own: none
    kept = sorted(path.name for path in (tmp_path / "out").rglob("cross-*.json"))
    assert kept == sorted(
        f"cross-{set_}{i}-{part}-5w1s-50e.json"
        for i in range(2)
        for set_ in "ab"
        for part in ("all", "test")
    )
    before = (tmp_path / "out").stat().st_mtime_ns
    cross.main(words)  # nothing is trained or tested again
    assert capsys.readouterr().out == said
    assert (tmp_path / "out").stat().st_mtime_ns == before
