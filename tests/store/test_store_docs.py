"""docs/store-format.md agrees with the code."""

import io
import re
from pathlib import Path

import h5py
import pytest
from PIL import Image

from tests.store.made import VIDEOS, Made, write_shard

TEXT = (Path(__file__).parents[2] / "docs" / "store-format.md").read_text()


def test_the_example_opens_the_first_frame_of_a_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (31, 17), (200, 10, 10)).save(jpeg, "jpeg")
    write_shard(tmp_path / "shard-00000.h5", [Made("a", "b", (jpeg.getvalue(), b"other"))])
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Image.Image] = {}
    exec(code, names)
    assert names["image"].size == (31, 17)


def test_every_array_and_attribute_of_a_shard_is_described(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard-00000.h5", VIDEOS)
    with h5py.File(tmp_path / "shard-00000.h5") as file:
        assert set(re.findall(r"`/(\w+)`", TEXT)) == set(file)
        rows = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
        assert set(rows) == set(file.attrs)
