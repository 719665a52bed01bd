"""Feature files that a few lines of numpy write are read, and mistakes are named."""

import errno
import os
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.features.reader import open_features
from tasd.features.writer import write_features
from tasd.types import Features

CLASSES = ["jump", "run", "swim"]


def write(path, **changes):
    """Write the documented file, with some of its data sets changed or left out (None)."""
    random = np.random.default_rng(0)
    data = {
        "features": random.normal(size=(12, 8, 6)).astype("float16"),
        "video_name": [f"clip{i}.mp4" for i in range(12)],
        "video_class": np.repeat([0, 1, 2], 4),
        "class_name": CLASSES,
    }
    with h5py.File(path, "w") as file:
        for name, value in (data | changes).items():
            if value is not None:
                file[name] = value
    return path


def refusal(path) -> str:
    with pytest.raises(UserError) as refused:
        open_features(path)
    message = str(refused.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_file_of_a_few_lines_of_numpy_is_read(tmp_path):
    store = open_features(write(tmp_path / "mine.h5"))
    assert store.features.shape == (12, 8, 6)
    assert store.features.dtype == np.float16
    assert store.maps is None
    assert list(store.classes("test")) == CLASSES
    assert store.classes("test")["run"] == ("clip4.mp4", "clip5.mp4", "clip6.mp4", "clip7.mp4")
    assert store.classes("train") == {}
    assert store.groups is None
    assert store.trained_on == ()


def test_the_recipe_of_the_documents_works(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")
    (recipe,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {"features": np.ones((4, 8, 2), "f4"), "names": list("abcd"), "labels": [0, 0, 1, 1]}
    exec(recipe, names | {"classes": ["run", "swim"]})
    assert open_features(tmp_path / "mine.h5").classes() == {"run": ("a", "b"), "swim": ("c", "d")}


def test_classes_may_be_written_as_names_or_bytes(tmp_path):
    names = np.repeat(CLASSES, 4)
    store = open_features(write(tmp_path / "a.h5", video_class=names.astype("S")))
    assert store.video_class == tuple(names)
    named = [name.encode() for name in CLASSES]
    assert open_features(write(tmp_path / "b.h5", class_name=named)).video_class == tuple(names)


def test_splits_groups_and_trained_classes_are_optional(tmp_path):
    path = write(
        tmp_path / "mine.h5",
        class_split=["train", "test", "val"],
        video_group=[f"g{i % 3}" for i in range(12)],
        trained_class=["jump"],
    )
    store = open_features(path)
    assert list(store.classes("test")) == ["run"]
    assert list(store.classes("train", "val")) == ["jump", "swim"]
    assert store.groups["clip4.mp4"] == "g1"
    assert store.trained_on == ("jump",)


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 8, 6, 1, 1), "compression": "gzip"}])
def test_maps_are_read_however_they_lie(tmp_path, options):
    maps = np.random.default_rng(1).normal(size=(12, 8, 6, 3, 2)).astype("float16")
    path = write(tmp_path / "mine.h5")
    with h5py.File(path, "a") as file:
        file.create_dataset("maps", data=maps, **options)
    store = open_features(path)
    assert isinstance(store.maps, np.memmap) == (not options)  # in one piece: not read, mapped
    np.testing.assert_array_equal(store.maps, maps)


def with_nan(at):
    features = np.ones((12, 8, 6), np.float32)
    features[at] = np.nan
    return features


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": None}, "has no /features; a feature file needs /features, /video_name"),
        ({"class_name": None}, "has no /class_name"),
        ({"features": np.ones((12, 6), "float32")}, "/features is (12, 6); it must be (videos,"),
        ({"features": np.ones((0, 8, 6), "float32")}, "/features is (0, 8, 6)"),
        ({"features": np.ones((12, 8, 6))}, "float64; write it as float32 or float16"),
        ({"features": np.ones((12, 8, 6), int)}, "int64; write it as float32 or float16"),
        ({"features": np.ones((11, 8, 6), "float32")}, "12 entries for the 11 videos"),
        ({"features": with_nan((5, 3, 2))}, "of 1 video hold NaN or infinity ('clip5.mp4' first)"),
        ({"features": np.full((12, 8, 6), np.inf, "float16")}, "of 12 videos hold NaN or infinity"),
        ({"video_name": ["a"] * 12}, "/video_name holds 'a' twice; names must be unique"),
        ({"video_name": np.arange(12)}, "/video_name is int64 (12,); it must be a list of strings"),
        ({"video_name": [b"\xff%d" % i for i in range(12)]}, "not UTF-8"),
        ({"class_name": ["run", "run", "swim"]}, "/class_name holds 'run' twice"),
        ({"video_class": np.repeat([0, 1, 3], 4)}, "holds '3', which is none of the 3 classes"),
        ({"video_class": np.repeat([0, -1, 2], 4)}, "holds '-1', which is none of the 3 classes"),
        ({"video_class": ["jump"] * 11 + ["fly"]}, "holds 'fly', which is none of the 3 classes"),
        ({"video_class": np.zeros(12)}, "float64; it must hold integers or names"),
        ({"video_class": np.zeros((12, 1), int)}, "/video_class has 0 entries for the 12 videos"),
        ({"video_class": np.zeros(9, int)}, "/video_class has 9 entries for the 12 videos"),
        ({"class_split": ["test"]}, "/class_split has 1 entries for the 3 classes"),
        ({"class_split": ["dev"] * 3}, "holds 'dev'; it may hold train, val, test"),
        ({"video_group": ["g"]}, "/video_group has 1 entries"),
        ({"maps": np.ones((12, 8, 6, 7), "float16")}, "/maps is (12, 8, 6, 7); it must be (videos"),
        ({"maps": np.ones((12, 8, 5, 7, 7), "float16")}, "videos, time and channels must agree"),
    ],
)
def test_each_mistake_is_one_line_that_says_what_is_wrong(tmp_path, changes, said):
    assert said in refusal(write(tmp_path / "mine.h5", **changes))


def test_a_file_that_is_none_is_refused(tmp_path):
    assert "there is no such file; write one with tasd features" in refusal(tmp_path / "no.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    assert "is not an HDF5 file" in refusal(tmp_path / "text.h5")
    path = write(tmp_path / "cut.h5")
    path.write_bytes(path.read_bytes()[:1500])
    assert "is damaged" in refusal(path)


def test_another_version_of_the_format_is_refused_by_name(tmp_path):
    path = write(tmp_path / "mine.h5")
    with h5py.File(path, "a") as file:
        file.attrs["format"], file.attrs["version"] = "tasd-features", 7
    assert "has version 7 of the feature format, this tasd reads version 1" in refusal(path)


def test_too_few_videos_for_an_episode_are_told_by_class(tmp_path):
    path = write(tmp_path / "mine.h5")
    store = open_features(path)
    with pytest.raises(UserError, match=r"class 'jump' of .*mine.h5 has 4 videos; .* needs 5"):
        EpisodeSampler(store.classes("test"), 3, 1, 4, 10, 0, source=str(path))
    with pytest.raises(UserError, match=r"--way 5 asks for more classes than .*mine.h5 has \(3\)"):
        EpisodeSampler(store.classes("test"), 5, 1, 1, 10, 0, source=str(path))


def test_episodes_of_other_videos_are_refused(tmp_path):
    store = open_features(write(tmp_path / "mine.h5"))
    other = {name: [f"{name}/{i}" for i in range(4)] for name in CLASSES}
    with pytest.raises(UserError, match=r"names 12 videos that .*mine.h5 does not have"):
        store.rows(EpisodeTable.draw(EpisodeSampler(other, 3, 1, 1, 10, 0)))
    moved = dict(zip(CLASSES, [store.classes()[c] for c in ("run", "jump", "swim")], strict=True))
    with pytest.raises(UserError, match=r"puts 'clip4.mp4' into class 'jump', .* into 'run'"):
        store.rows(EpisodeTable.draw(EpisodeSampler(moved, 3, 1, 1, 10, 0)))


@pytest.mark.parametrize("bytes_left", [0, 600, 4000])
def test_a_disk_that_fills_ends_the_writing_and_not_the_process(tmp_path, monkeypatch, bytes_left):
    """HDF5 crashes where a write fails while it closes a file."""
    left, pwrite = [bytes_left], os.pwrite

    def filling(descriptor, data, offset):
        if len(data) > left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= len(data)
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", filling)
    features = Features(torch.zeros(2, 3, 64))
    with pytest.raises(UserError, match=r"cannot be written \(the disk is full\)"):
        write_features(
            tmp_path / "a.h5", [features], videos=[("a/0", "a"), ("a/1", "a")], splits={"a": "test"}
        )
    assert list(tmp_path.iterdir()) == []


def test_the_hash_names_the_content_and_not_the_file(tmp_path):
    one, two = (open_features(write(tmp_path / f"{name}.h5")) for name in "ab")
    assert one.hash == two.hash
    features = np.array(one.features)
    features[3, 2, 1] += 1
    assert open_features(write(tmp_path / "c.h5", features=features)).hash != one.hash
    names = [f"other{i}" for i in range(12)]
    assert open_features(write(tmp_path / "d.h5", video_name=names)).hash != one.hash
