import pytest

from tasd import recipes
from tasd.config import Config, validate
from tasd.errors import UserError
from tasd.recipes.settings import parse_setting, replace
from tasd.runs.changes import Change, changes


def made(name: str = "tasd", shot: int = 1) -> Config:
    return recipes.make(name, dataset="folder", shot=shot)


@pytest.mark.parametrize("name", recipes.RECIPES)
@pytest.mark.parametrize("shot", [1, 5])
def test_every_recipe_asks_for_the_shots_it_was_given(name, shot):
    config = made(name, shot)
    assert config.episode.shot == shot
    assert config.episode.queries in (1, 3, 4, 5, 6, 7)
    assert config.recipe == name


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_config_survives_being_written_down(name):
    config = made(name)
    assert Config.model_validate_json(config.save_text()) == config


def test_the_baseline_differs_from_the_default_by_its_teacher_alone():
    default, baseline = made().model_dump(), made("baseline").model_dump()
    differing = {key for key in default if default[key] != baseline[key]}
    assert differing == {"recipe", "distill"}
    assert made("baseline").distill.weights == {}


def test_a_setting_replaces_one_leaf():
    changed = replace(made(), [parse_setting("optimiser.lr=1e-3"), ("episode.way", 3)])
    assert changed.optimiser.lr == 1e-3
    assert changed.episode.way == 3
    assert changed.data == made().data


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimiser.rate=1", "setting of optimiser is called 'rate'; there are: name, lr"),
        ("optimizer.lr=1", "there are: recipe"),
        ("distil.ce=1", "did you mean 'distill'?"),
        ("episode.way=1", "greater than or equal to 2"),
        ("episode.way=many", "valid integer"),
        ("distill.ce_pairs=XX", "'CS', 'SS' or 'QS'"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(setting, message):
    with pytest.raises(UserError) as error:
        replace(made(), [parse_setting(setting)])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["distill.ce_pairs", "distill.map_pairs", "distill.nodes"])
def test_a_setting_without_effect_is_an_error(key):
    value = 8 if key.endswith("nodes") else "SS"
    with pytest.raises(UserError, match="no effect"):
        replace(made("baseline"), [(key, value)])


def test_a_setting_needs_an_equals_sign():
    with pytest.raises(UserError, match=r"a\.b=c"):
        parse_setting("optimiser.lr")


def test_unknown_keys_in_a_file_are_refused():
    tree = made().model_dump() | {"surprise": 1}
    with pytest.raises(UserError, match=r"config\.json: surprise"):
        validate(tree, source="config.json")


def test_a_wrong_recipe_is_answered_with_the_right_ones():
    with pytest.raises(UserError, match=r"did you mean 'baseline'"):
        made("baselin")


def test_an_option_that_is_none_differs_from_one_that_is_not_there():
    changed = replace(made(), [("matcher.options.reduction", None)])
    assert list(changes(made(), changed)) == [Change("matcher.options.reduction", None, None)]
