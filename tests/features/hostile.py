"""Feature files that somebody built to harm, each by name."""

import itertools
import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

CLASSES = ["jump", "run", "swim"]


def write(path: Path) -> Path:
    """A sound feature file of another program."""
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["features"] = random.normal(size=(12, 8, 6)).astype("float32")
        file["video_name"] = [f"clip{i}.mp4" for i in range(12)]
        file["video_class"] = np.repeat([0, 1, 2], 4)
        file["class_name"] = CLASSES
    return path


def _without(file: h5py.File, *names: str) -> None:
    for name in names:
        del file[name]


def external_storage(file: h5py.File) -> None:
    _without(file, "features")
    file.create_dataset("features", (12, 8, 6), "f4", external=[("/etc/passwd", 0, 2304)])


def external_text(file: h5py.File) -> None:
    _without(file, "video_name")
    file.create_dataset("video_name", (12,), "S20", external=[("/etc/passwd", 0, 240)])


def virtual(file: h5py.File) -> None:
    _without(file, "features")
    layout = h5py.VirtualLayout((12, 8, 6), "f4")
    layout[:] = h5py.VirtualSource("/nowhere.h5", "features", (12, 8, 6))
    file.create_virtual_dataset("features", layout)


def external_link(file: h5py.File) -> None:
    _without(file, "features")
    file["features"] = h5py.ExternalLink("/dev/stdin", "/features")


def soft_link(file: h5py.File) -> None:
    file.move("features", "elsewhere")
    file["features"] = h5py.SoftLink("/elsewhere")


def dangling_link(file: h5py.File) -> None:
    _without(file, "class_name")
    file["class_name"] = h5py.SoftLink("/nothing")


def group(file: h5py.File) -> None:
    _without(file, "features")
    file.create_group("features")


def group_of_labels(file: h5py.File) -> None:
    _without(file, "video_class")
    file.create_group("video_class")


def named_type(file: h5py.File) -> None:
    _without(file, "class_name")
    file["class_name"] = np.dtype("f4")


def references(file: h5py.File) -> None:
    names = np.array([file["features"].ref] * 12, dtype=h5py.ref_dtype)
    _without(file, "video_name")
    file.create_dataset("video_name", data=names, dtype=h5py.ref_dtype)


def compound(file: h5py.File) -> None:
    _without(file, "video_class")
    file["video_class"] = np.zeros(12, [("a", "i4"), ("b", "f4")])


def never_written(file: h5py.File) -> None:
    _without(file, "features")
    file.create_dataset("features", (12, 8, 6), "f4")


def larger_than_the_file(file: h5py.File) -> None:
    _without(file, "features")
    file.create_dataset("features", (10**9, 8, 512), "f4")


def some_chunks(file: h5py.File) -> None:
    _without(file, "features")
    file.create_dataset("features", (12, 8, 6), "f4", chunks=(1, 8, 6))[0] = 1


def bomb(file: h5py.File) -> None:
    _without(file, "features")
    for name, shape, chunks in (
        ("maps", (12, 8, 6, 512, 512), (1, 1, 6, 512, 512)),
        ("features", (256, 8, 16384), (8, 8, 4096)),
    ):
        made = file.create_dataset(name, shape, "f4", chunks=chunks, compression="gzip")
        zeros = zlib.compress(bytes(4 * math.prod(chunks)))  # one chunk stands for all
        for corner in itertools.product(*map(range, (0,) * len(shape), shape, chunks)):
            made.id.write_direct_chunk(corner, zeros)


def great_chunk(file: h5py.File) -> None:
    _without(file, "features")
    options = {"chunks": (1, 1, 2**29), "maxshape": (None, None, None), "compression": "gzip"}
    file.create_dataset("features", (12, 8, 6), "f4", **options)


def long_name(file: h5py.File) -> None:
    _without(file, "class_name")
    file["class_name"] = [*CLASSES[:2], "x" * 5_000_000]


def wide_names(file: h5py.File) -> None:
    _without(file, "video_name")
    file.create_dataset("video_name", (12,), "S2000000000", chunks=(1,), compression="gzip")


def array_attribute(file: h5py.File) -> None:
    file.attrs["network"] = np.arange(5)


def long_attribute(file: h5py.File) -> None:
    file.attrs["note"] = "x" * 60_000


def reference_attribute(file: h5py.File) -> None:
    file.attrs["note"] = file["features"].ref


def empty_attribute(file: h5py.File) -> None:
    file.attrs["note"] = h5py.Empty("f")


def not_a_number(file: h5py.File) -> None:
    file.attrs["note"] = np.nan


def no_shape(file: h5py.File) -> None:
    _without(file, "video_class")
    file["video_class"] = h5py.Empty("i4")


def path_as_dataset(file: h5py.File) -> None:
    file.attrs["dataset"] = "../../x"


def path_as_network(file: h5py.File) -> None:
    file.attrs["network"] = "/etc/cron.d/x"


EDITS: dict[Callable[[h5py.File], None], str] = {
    external_storage: "/features lies in other files",
    external_text: "/video_name lies in other files",
    virtual: "/features lies in other files",
    external_link: "/features is a link to elsewhere",
    soft_link: "/features is a link to elsewhere",
    dangling_link: "/class_name is a link to elsewhere",
    group: "/features is a group or a type",
    group_of_labels: "/video_class is a group or a type",
    named_type: "/class_name is a group or a type",
    references: "it must be a list of strings",
    compound: "it must hold integers or names",
    never_written: "/features was never written",
    larger_than_the_file: "/features was never written",
    some_chunks: "parts of /features were never written",
    bomb: "unpacks to",
    great_chunk: "/features has chunks of",
    long_name: "holds a text of 5,000,000 bytes",
    wide_names: "holds a text of 2,000,000,000 bytes",
    array_attribute: "its attribute 'network' is no single string or number",
    long_attribute: "holds a text of 60,000 bytes",
    reference_attribute: "its attribute 'note' is no single string or number",
    empty_attribute: "its attribute 'note' is no single string or number",
    not_a_number: "its attribute 'note' is nan",
    no_shape: "/video_class is empty",
    path_as_dataset: "its attribute dataset is '../../x'",
    path_as_network: "its attribute network is '/etc/cron.d/x'",
}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


PLACES: dict[Callable[[Path], None], str] = {
    pipe: "it is a pipe, not a file",
    folder: "it is a folder, not a file",
    device: "it is a device, not a file",
}
