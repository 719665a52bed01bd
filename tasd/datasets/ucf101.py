"""UCF101 (Soomro, Zamir and Shah 2012): clips of one group were cut from one video."""

import re

from tasd.datasets.base import Dataset

_NAME = re.compile(r"v_(?P<class>.+)_g(?P<group>\d+)_c\d+", re.IGNORECASE)


def _group(name: str) -> str:
    match = _NAME.match(name)
    return f"g{match['group']}" if match else name


def _class_in_name(name: str) -> str | None:
    match = _NAME.match(name)
    return match["class"] if match else None


UCF101 = Dataset(
    name="ucf101",
    layout="<Class>/v_<Class>_g01_c01.avi",
    published=True,
    group=_group,
    # The folder HandstandPushups holds v_HandStandPushups_*, and lists write either.
    video_key=str.casefold,
    class_in_name=_class_in_name,
)
