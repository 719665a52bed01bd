"""Building a matcher by its name and options, and the published numbers of each."""

import pytest

from tasd import matchers
from tasd.errors import UserError
from tasd.matchers import DESCRIBED, MATCHERS, build, option_names
from tasd.report.outcome import NAMES
from tasd.report.published import LATER, TABLE1


def test_a_wrong_name_is_answered_with_the_right_ones():
    with pytest.raises(UserError, match=r"'otm'.*bimhm, prototype.*did you mean 'otam'"):
        build("otm", 8)


def test_a_wrong_option_is_answered_with_the_right_ones():
    with pytest.raises(UserError, match=r"'otam' has no option 'lambda'; it has: smoothing, eps"):
        build("otam", 8, **{"lambda": 0.1})


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("bimhm", {"reduction": "max"}, "'sum' or 'mean'"),
        ("otam", {"smoothing": 0}, "greater than 0"),
        ("otam", {"smoothing": "soft"}, "valid number"),
        ("trx", {"cardinalities": []}, "at least 1 item"),
        ("trx", {"cardinalities": [2, 0]}, "greater than or equal to 1"),
        ("hyrsm", {"heads": 3}, "does not divide"),
        ("molo", {"heads": 3}, "does not divide"),
        ("ta2n", {"dropout": 1.0}, "less than 1"),
        ("mpl", {"heads": 3}, "does not divide"),
        ("mpl", {"nearest": 1}, "transductive=true"),
        ("team", {"patterns": 0}, "greater than or equal to 1"),
        ("tsdcm", {"alpha": 0}, "greater than 0"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(name: str, options: dict, reason: str):
    option, value = next(iter(options.items()))
    with pytest.raises(UserError) as raised:
        build(name, 8, **options)
    for part in (repr(option), repr(name), repr(value), reason):
        assert part in str(raised.value)


def test_a_list_may_stand_for_a_tuple():
    assert len(build("trx", 8, cardinalities=[2, 3], width=4).attentions) == 2


def test_the_number_of_classes_and_frames_are_no_options():
    for name in MATCHERS:
        assert not {"classes", "frames", "channels"} & set(option_names(name))


@pytest.mark.parametrize("name", ["hyrsm", "molo"])
def test_without_training_classes_there_is_no_classifier(name: str):
    assert "classifier" in build(name, 8, classes=3).loss_names
    assert "classifier" not in build(name, 8).loss_names


@pytest.mark.parametrize("name", MATCHERS)
def test_what_is_published_is_what_the_paper_compares_itself_with(name: str):
    published, row = DESCRIBED[name], NAMES[name]
    assert published.paper
    compared = {entry.method: entry.accuracy for entry in (*TABLE1, *LATER)}
    assert dict(published.accuracy) == dict(compared.get(row, {}))
    assert published.note or not published.other_protocol
    for one_shot, five_shot in [*published.accuracy.values(), *published.other_protocol.values()]:
        assert one_shot is not None
        assert 20 < one_shot < (five_shot or 100) <= 100


@pytest.mark.parametrize("name", MATCHERS)
def test_the_docstring_names_the_paper_and_every_option(name: str):
    text = " ".join((MATCHERS[name].__doc__ or "").split())
    assert any(str(year) in text for year in range(2016, 2027))
    for option in option_names(name):
        assert option in text, f"{option} is not explained"


@pytest.mark.parametrize("name", MATCHERS)
def test_what_is_listed_is_what_the_class_says(name: str):
    listed, matcher = DESCRIBED[name], MATCHERS[name]
    assert (listed.reads_maps, listed.reads_stages) == (matcher.needs_maps, matcher.levels)
    assert listed.transductive == matcher.transductive
    assert listed.transductive_option == ("transductive" in option_names(name))


def test_every_matcher_is_listed_in_the_same_order():
    assert list(DESCRIBED) == list(MATCHERS)


def test_a_name_that_is_not_there_is_no_part_of_the_package():
    with pytest.raises(AttributeError, match="has no attribute 'biuld'"):
        matchers.biuld  # noqa: B018
    with pytest.raises(KeyError):
        MATCHERS["biuld"]
