"""Kinetics: the videos that CMN (Zhu and Yang, ECCV 2018) chose from Kinetics-400."""

import re

from tasd.datasets.base import Dataset

# YouTube ids have eleven characters, may begin with a dash and may hold underscores.
_NAME = re.compile(r"([A-Za-z0-9_-]{11})(?:_\d+_\d+)?(?:\.\w+)?")


def youtube_id(name: str) -> str:
    """Return ``-VtLx-mcPds`` for ``-VtLx-mcPds_000012_000022``; other names stay."""
    match = _NAME.fullmatch(name)
    return match[1] if match else name


KINETICS = Dataset(
    name="kinetics",
    layout="<class>/<id>_<start>_<end>.mp4, also below train/ and val/",
    published=True,
    group=youtube_id,
    video_key=youtube_id,
    spelled=lambda folder: folder.replace("_", " ").strip(),
    per_class=100,
)
