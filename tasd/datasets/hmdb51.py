"""HMDB51 (Kuehne et al., ICCV 2011): clips of films, named by source, class and camera."""

import re

from tasd.datasets.base import Dataset

# <source>_<class>_<body>_<camera>_np<people>_<viewpoint>_<quality>_<number>
_NAME = re.compile(r"(?P<before>.+)_[fhlu]_(?:cm|nm)_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+")


def _group(name: str) -> str:
    """Return the name up to its first tag; it includes the class, which does no harm."""
    match = _NAME.match(name)
    return match["before"] if match else name


HMDB51 = Dataset(
    name="hmdb51",
    layout="<class>/<source>_<class>_f_cm_np1_le_med_1.avi",
    published=True,
    group=_group,
)
