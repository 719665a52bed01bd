"""Rows of each table differ in what the table compares, and in nothing else."""

import pytest

from tasd import recipes
from tasd.errors import UserError
from tasd.matchers import MATCHERS
from tasd.report.outcome import NAMES
from tasd.report.published import TABLE1
from tasd.reproduce.rows import COMPARED, RowRequest, keep_checkpoints, rows_of


def rows(table, **request):
    made = rows_of(table, RowRequest("folder", **request))
    return {row.name: row.config for row in made}


def differing(one, other):
    """Return the settings that differ, as in "matcher.name"; whole branches that are no dicts."""
    left, right = one.model_dump(), other.model_dump()
    found = set()
    for branch, value in left.items():
        if value != right[branch]:
            found |= (
                {branch}
                if not isinstance(value, dict)
                else {f"{branch}.{leaf}" for leaf in value if value[leaf] != right[branch][leaf]}
            )
    return found


def test_table_1_has_every_matcher_there_is():
    printed = {row.method for row in TABLE1}
    assert {name for name in MATCHERS if NAMES.get(name) in printed} | {"prototype"} <= set(
        COMPARED
    )
    assert set(COMPARED) == set(MATCHERS)
    with pytest.raises(UserError, match="no row of table1 is called 'nonsense'"):
        rows("table1", only=("nonsense",))


def test_table_1_has_each_of_its_matchers_twice_in_its_own_recipe():
    made = rows("table1")
    assert len(made) == 2 * len(COMPARED)
    for matcher in COMPARED:
        without, distilled = made[matcher], made[f"{matcher}+distillation"]
        own = recipes.for_matcher(matcher, dataset="folder", shot=1)
        assert without == own
        assert set(distilled.distill.weights) == {"ce", "at", "am", "pr"}
        assert {d.partition(".")[0] for d in differing(without, distilled)} == {"distill"}


def test_table_1_in_a_common_recipe_differs_by_the_matcher_alone():
    made = rows("table1", recipe="demo")
    demo = recipes.make("demo", dataset="folder", shot=1)
    assert made["bimhm+distillation"] == demo
    for matcher in COMPARED:
        config = made[f"{matcher}+distillation"]
        assert config.matcher.name == matcher
        assert differing(config, demo) <= {"matcher.name", "matcher.options", "matcher.losses"}
        assert made[matcher].distill.weights == {}


def test_settings_count_for_all_rows_and_those_of_the_distillation_where_there_is_one():
    settings = [("optimiser.lr", 0.01), ("distill.nodes", 8)]
    made = rows("table1", settings=settings, only=("otam", "otam+distillation"))
    assert list(made) == ["otam", "otam+distillation"]
    assert {config.optimiser.lr for config in made.values()} == {0.01}
    assert made["otam+distillation"].distill.nodes == 8
    with pytest.raises(UserError, match="optimiser is called 'rate'"):
        rows("table1", settings=[("optimiser.rate", 1)])


def test_table_2_switches_the_terms_on_one_after_the_other():
    made = rows("table2", settings=[("distill.am", 0.25)])
    assert list(made) == ["baseline", "ce", "ce+pr", "ce+at+am+pr"]
    assert [set(c.distill.weights) for c in made.values()] == [
        set(),
        {"ce"},
        {"ce", "pr"},
        {"ce", "at", "am", "pr"},
    ]
    assert made["ce+at+am+pr"].distill.am == 0.25
    full = made["ce+at+am+pr"]
    assert all(
        differing(c, full) <= {"distill.ce", "distill.at", "distill.am", "distill.pr"}
        for c in made.values()
    )


def test_table_3_switches_both_kinds_of_pair():
    made = rows("table3")
    assert list(made) == ["SS", "QS", "CS"]
    for mode, config in made.items():
        assert (config.distill.ce_pairs, config.distill.map_pairs) == (mode, mode)
        assert differing(config, made["SS"]) <= {"distill.ce_pairs", "distill.map_pairs"}


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("table4", {}, "no table is called 'table4'; there are: table1, table2, table3"),
        ("table1", {"only": ["otm"]}, "did you mean 'otam'"),
        ("table2", {"recipe": "baseline"}, "has distill.ce = 0"),
        ("table3", {"settings": [("distill.pr", 0)]}, "has distill.pr = 0"),
    ],
)
def test_a_wrong_wish_is_told_in_one_line(table, options, message):
    with pytest.raises(UserError) as error:
        rows(table, **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_checkpoint_is_kept_at_every_validation_where_all_are_to_be_tested():
    (row,) = rows_of("table3", RowRequest("folder", only=("CS",)))
    assert row.config.training.checkpoint_every is None
    assert keep_checkpoints(row).config.training.checkpoint_every == 500
