"""Matchers: the comparison of videos. A new one is a file here and a line in `MATCHERS`.

Its paper and published accuracies are an entry of `DESCRIBED`. To list both tables loads no torch:
a class is imported when it is looked up.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasd.matchers.described import DESCRIBED, Described
from tasd.registry import Lazy

if TYPE_CHECKING:
    from tasd.matchers.building import Matcher, build, has_weights, option_names

MATCHERS: Lazy["type[Matcher]"] = Lazy(
    "tasd.matchers",
    {
        "bimhm": "bimhm.BiMHM",
        "prototype": "prototype.Prototype",
        "otam": "otam.OTAM",
        "trx": "trx.TRX",
        "ta2n": "ta2n.TA2N",
        "strm": "strm.STRM",
        "hyrsm": "hyrsm.HyRSM",
        "molo": "molo.MoLo",
        "chamfer": "chamfer.Chamfer",
        "hcl": "hcl.HCL",
        "sloshnet": "sloshnet.SloshNet",
        "sloshnet-temporal": "sloshnet.SloshNetTemporal",
        "arn": "arn.ARN",
        "itanet": "itanet.ITANet",
        "team": "team.TEAM",
        "mpl": "mpl.MPL",
        "tsdcm": "tsdcm.TSDCM",
    },
)

__all__ = [
    "DESCRIBED",
    "MATCHERS",
    "Described",
    "Matcher",
    "build",
    "has_weights",
    "option_names",
]


def __getattr__(name: str) -> Any:
    """Return what needs torch, when it is first asked for."""
    if name in __all__:
        return getattr(import_module("tasd.matchers.building"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
