"""The settings of a published method are those that its docstring tells."""

import re
from collections.abc import Iterator, Mapping

import pytest

from tasd import recipes
from tasd.config import Config
from tasd.matchers import MATCHERS
from tests.recipes.test_recipes import DATASETS

WORDS = {"one": 1, "two": 2, "four": 4, "half": 0.5, "tenth": 0.1, "single": 1, "pairs": 2}
WORDS |= {"triples": 3, "five": 5}
OTHER = {"sloshnet-temporal": "sloshnet"}  # its docstring names the recipe that has the settings


def told(text: str) -> set[float]:
    """The numbers of a text, also those in words."""
    numbers = re.findall(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", text)
    return {float(number.replace(",", "")) for number in numbers} | {
        value for word, value in WORDS.items() if re.search(rf"\b{word}\b", text)
    }


def settings(config: Config) -> Iterator[tuple[str, float]]:
    """The numbers of a configuration that a paper or its code gives."""
    optimiser, training = config.optimiser, config.training
    found: Mapping[str, object] = {
        "lr": optimiser.lr,
        "weight decay": optimiser.weight_decay,
        "momentum": optimiser.momentum,
        "clip": optimiser.clip,
        "episodes": training.episodes,
        "episodes a step": training.episodes_per_step,
        "queries": config.episode.queries,
        **config.matcher.options,
        **config.matcher.losses,
    }
    for name, value in found.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int | float) and not isinstance(one, bool) and one not in (0, 1):
                yield name, float(one)


@pytest.mark.parametrize("name", [name for name in MATCHERS if name != "bimhm"])
def test_the_settings_of_a_recipe_are_those_of_its_docstring(name: str) -> None:
    numbers = told(" ".join((recipes.RECIPES[OTHER.get(name, name)].__doc__ or "").split()))
    missing = {
        (key, value)
        for dataset in DATASETS
        for shot in (1, 5)
        for key, value in settings(recipes.make(name, dataset=dataset, shot=shot))
        if not any(value == pytest.approx(number) for number in numbers)
    }
    assert missing == set()
