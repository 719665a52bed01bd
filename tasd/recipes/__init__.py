"""Recipes: functions (dataset, shot) -> Config. `Config.recipe` names the one that was used."""

from collections.abc import Callable

from tasd.config import Config
from tasd.parts import pick
from tasd.recipes.baseline import baseline
from tasd.recipes.demo import demo
from tasd.recipes.paper import paper
from tasd.recipes.tasd import tasd

Recipe = Callable[[str, int], Config]

RECIPES: dict[str, Recipe] = {
    "tasd": tasd,
    "paper": paper,
    "baseline": baseline,
    "demo": demo,
}


def make(name: str, *, dataset: str, shot: int) -> Config:
    """The config of the recipe called ``name``. Raises `UserError` for a wrong name."""
    return pick(RECIPES, name, what="recipe")(dataset, shot)
