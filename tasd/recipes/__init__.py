"""Recipes: functions (dataset, shot) -> Config. `Config.recipe` is the name of the one used."""

from collections.abc import Callable, Sequence
from typing import Any

from tasd.config import Config, DistillOptions
from tasd.recipes.arn import arn
from tasd.recipes.baseline import baseline
from tasd.recipes.chamfer import chamfer
from tasd.recipes.demo import demo
from tasd.recipes.hcl import hcl
from tasd.recipes.hyrsm import hyrsm
from tasd.recipes.itanet import itanet
from tasd.recipes.molo import molo
from tasd.recipes.mpl import mpl
from tasd.recipes.otam import otam
from tasd.recipes.paper import paper
from tasd.recipes.prototype import prototype
from tasd.recipes.published import NO_DISTILLATION
from tasd.recipes.settings import replace
from tasd.recipes.sloshnet import sloshnet, sloshnet_temporal
from tasd.recipes.small import small
from tasd.recipes.strm import strm
from tasd.recipes.ta2n import ta2n
from tasd.recipes.tasd import tasd
from tasd.recipes.team import team
from tasd.recipes.trx import trx
from tasd.recipes.tsdcm import tsdcm
from tasd.registry import OPTIONS, pick

Recipe = Callable[[str, int], Config]

RECIPES: dict[str, Recipe] = {
    "tasd": tasd,
    "paper": paper,
    "baseline": baseline,
    "demo": demo,
    "small": small,
    "prototype": prototype,
    "otam": otam,
    "trx": trx,
    "ta2n": ta2n,
    "strm": strm,
    "hyrsm": hyrsm,
    "molo": molo,
    "chamfer": chamfer,
    "hcl": hcl,
    "sloshnet": sloshnet,
    "sloshnet-temporal": sloshnet_temporal,
    "arn": arn,
    "itanet": itanet,
    "team": team,
    "mpl": mpl,
    "tsdcm": tsdcm,
}

# Data sets with classes that are mirror images: "from left to right" and "from right to left".
DIRECTED = frozenset({"ssv2"})


def make(name: str, *, dataset: str, shot: int, settings: Sequence[tuple[str, Any]] = ()) -> Config:
    """Return the config of the recipe called ``name``, with single ``settings`` replaced.

    ``distill`` may be set to the name of a recipe, whose distillation is then copied, or to
    "none". Videos of a data set of `DIRECTED` are not flipped. Raises `UserError` for a wrong name
    or setting.
    """
    config = pick(RECIPES, name, what="recipe")(dataset, max(1, shot))
    if shot < 1:
        settings = [(OPTIONS["episode.shot"], shot), *settings]
    if dataset in DIRECTED:
        config = replace(config, [("data.flip", False)])
    return change(config, settings)


def of_matcher(matcher: str) -> str:
    """Return the recipe of a matcher without distillation: its own, or the paper's baseline."""
    return matcher if matcher in RECIPES else "baseline"


def for_matcher(matcher: str, *, dataset: str, shot: int) -> Config:
    """Return the config of the recipe `of_matcher`, with this matcher."""
    settings = [("matcher.name", matcher)]
    return make(of_matcher(matcher), dataset=dataset, shot=shot, settings=settings)


def change(config: Config, settings: Sequence[tuple[str, Any]]) -> Config:
    """Replace settings, and ``distill`` also by a recipe's name. Raises `UserError`."""
    whole = [
        (key, _distillation(value, config) if key == "distill" else value)
        for key, value in settings
    ]
    return replace(config, whole)


def _distillation(value: Any, config: Config) -> Any:
    """Return the options that ``distill=value`` stands for."""
    if not isinstance(value, str):
        return value
    known: dict[str, DistillOptions] = {"none": NO_DISTILLATION}
    for name, recipe in RECIPES.items():
        options = recipe(config.dataset, config.episode.shot).distill
        if options.weights:
            known[name] = options
    return pick(known, value, what="distillation").model_dump()
