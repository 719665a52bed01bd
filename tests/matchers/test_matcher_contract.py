"""The contract of every matcher; a new one is tested by its line in the table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.matchers import MATCHERS, Matcher, build, option_names
from tasd.matchers.arithmetic import frame_norms, shot_means
from tasd.matchers.base import condensed, prepared
from tasd.types import Encode, Scores, Task
from tests.narrow import narrow_arn

CHANNELS, FRAMES, CLASSES = 16, 4, 9
# Smaller than published, and the options that take another path through the code.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "bimhm": [{}, {"shots": "mean", "reduction": "mean", "eps": 0.01}],
    "prototype": [{}, {"rule": "mean"}, {"metric": "squared_l2"}],
    "otam": [{}],
    "trx": [{"width": 12}],
    "ta2n": [{}],
    "strm": [{"width": 12}, {"width": 12, "cardinalities": (2, 3)}],
    "hyrsm": [{}, {"shots": "mean", "heads": 2}],
    "molo": [{"heads": 2}],
    "chamfer": [{}, {"shots": "single"}, {"direction": "query"}, {"direction": "support"}],
    "hcl": [
        {"width": 12, "heads": 2},
        {"width": 12, "heads": 2, "spatial_cycle": True, "zoom": 2},
    ],
    "sloshnet": [{"width": 12}, {"width": 12, "cardinalities": (1, 2), "positions": True}],
    "sloshnet-temporal": [{"width": 12}],
    "arn": [
        {"variant": "none", "loss": "ce"},
        {"variant": "ta_sa"},
        {"variant": "tsa", "margin": 0.1},
        {"variant": "ssa_jigsaw"},
        {},
    ],
    "itanet": [
        {"width": 16, "groups": 4, "heads": 2},
        {"width": 12, "spatial": False, "groups": 3, "heads": 2},
        {"width": None, "channel": False, "temporal": False, "pairs": "all"},
        {"spatial": False, "channel": False, "heads": 4},
    ],
    "team": [{"patterns": 5}],
    "mpl": [{"heads": 2}, {"heads": 2, "transductive": True, "nearest": 2}],
    "tsdcm": [{"width": 6}, {"width": None}],
}
# Of a matcher without a line above: its options of these names.
SMALL = {"width": 12, "heads": 2}


def forms(name: str) -> list[dict[str, Any]]:
    """Return the options of each form of a matcher."""
    smaller = {option: SMALL[option] for option in option_names(name) if option in SMALL}
    return OPTIONS.get(name, [smaller])


FORMS = [(name, options) for name in MATCHERS for options in forms(name)]
SHOTS = (2, 1, 3)


@pytest.fixture(params=FORMS, ids=[f"{name}-{form}" for form, (name, _) in enumerate(FORMS)])
def matcher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Matcher:
    """Build it in float64 and evaluation mode, with weights that leave no branch at zero.

    ARN correlates fewer channels than published, but more than its maps have: two thirds of the
    time of all matchers.
    """
    narrow_arn(monkeypatch, 2 * CHANNELS)
    name, options = request.param
    torch.manual_seed(0)
    built = build(name, CHANNELS, classes=CLASSES, frames=FRAMES, **options).double().eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return built


def task(
    *, shots: Sequence[int] = SHOTS, episodes: int = 2, queries: int = 4, training: bool = False
) -> Task:
    """Draw random features of every kind; each episode has its own order of supports."""
    generator = torch.Generator().manual_seed(sum(shots) + queries)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    way, supports = len(shots), sum(shots)
    ordered = torch.arange(way).repeat_interleave(torch.tensor(shots))
    orders = [torch.randperm(supports, generator=generator) for _ in range(episodes)]
    labels = torch.stack([ordered[order] for order in orders])
    kinds: dict[str, Any] = {}
    for part, videos in (("support", supports), ("query", queries)):
        kinds[part] = random(episodes, videos, FRAMES, CHANNELS)
        kinds[f"{part}_maps"] = random(episodes, videos, CHANNELS, FRAMES, 2, 3)
        kinds[f"{part}_levels"] = tuple(
            random(episodes, videos, CHANNELS >> n, FRAMES, 2 << n, 3 << n) for n in (3, 2, 1, 0)
        )
    if training:
        answers = torch.randint(way, (episodes, queries), generator=generator)
        kinds |= {"query_labels": answers, "query_classes": answers + 3}
        kinds |= {"support_classes": labels + 3}
        for part, videos in (("support", supports), ("query", queries)):
            kinds[f"{part}_pixels"] = random(episodes, videos, FRAMES, 3, 24, 24)
        kinds["encode"] = encoder()
    return Task(way, support_labels=labels, **kinds)


def encoder() -> Encode:
    """Return a backbone for changed pixels: maps of the size of all others here."""
    weights = torch.linspace(-1, 1, 3 * CHANNELS, dtype=torch.float64).view(CHANNELS, 3)

    def encode(pixels: Tensor) -> Tensor:
        cells = functional.adaptive_avg_pool2d(pixels.flatten(0, 1), (2, 3))
        maps = torch.einsum("cp,tphw->tchw", weights.to(cells), cells)
        return maps.unflatten(0, (-1, FRAMES)).transpose(1, 2)

    return encode


def select(task: Task, part: str, index: Any) -> Task:
    """Keep some ``support_...`` or ``query_...`` videos of the task, in this order."""
    chosen = {
        name: changed(value, lambda videos: videos[:, index])
        for name, value in vars(task).items()
        if name.startswith(part) and value is not None
    }
    return replace(task, **chosen)


def changed(value: Any, change: Any) -> Any:
    """Apply a change to a tensor, or to each of several; anything else stays."""
    if isinstance(value, tuple):
        return tuple(map(change, value))
    return change(value) if isinstance(value, Tensor) else value


def mapped(task: Task, change: Any) -> Task:
    """Apply a change to every tensor of features of the task."""
    floats = {
        name: changed(value, change)
        for name, value in vars(task).items()
        if isinstance(value, tuple) or (isinstance(value, Tensor) and value.is_floating_point())
    }
    return replace(task, **floats)


@torch.no_grad()
def logits(matcher: Matcher, task: Task) -> Tensor:
    scores: Scores = matcher(task)
    return scores.logits


def same(actual: Tensor, expected: Tensor) -> bool:
    return torch.allclose(actual, expected, rtol=1e-9, atol=1e-9)


def test_every_matcher_of_the_table_is_tested():
    assert {name for name, _ in FORMS} == set(MATCHERS)
    assert set(OPTIONS) <= set(MATCHERS)


@pytest.mark.parametrize("shots", [(1, 1, 1), (2, 2), (1, 1), SHOTS, (4,), (1, 5, 1, 2)])
def test_scores_have_a_column_for_each_class(matcher: Matcher, shots: tuple[int, ...]):
    scores = logits(matcher, task(shots=shots, episodes=3, queries=2))
    assert scores.shape == (3, 2, len(shots))
    assert scores.isfinite().all()


@pytest.mark.parametrize("shots", [(1, 1, 1), SHOTS])
def test_the_order_of_the_support_does_not_matter(matcher: Matcher, shots: tuple[int, ...]):
    given = task(shots=shots)
    turned = select(given, "support", torch.arange(sum(shots)).flip(0))
    assert same(logits(matcher, turned), logits(matcher, given))


@pytest.mark.parametrize("shots", [(1, 1, 1), SHOTS])
def test_renaming_the_classes_permutes_the_columns(matcher: Matcher, shots: tuple[int, ...]):
    given, names = task(shots=shots), torch.tensor([2, 0, 1])
    renamed = replace(given, support_labels=names[given.support_labels])
    assert same(logits(matcher, renamed)[:, :, names], logits(matcher, given))


def test_a_query_does_not_see_the_others_unless_declared(matcher: Matcher):
    given = task()
    alone = logits(matcher, select(given, "query", [2]))
    together = logits(matcher, given)[:, [2]]
    assert same(alone, together) != matcher.transductive


def test_a_class_does_not_see_the_others_unless_declared(matcher: Matcher):
    given = task(shots=(2, 2, 2), episodes=1)
    own = given.support_labels[0] == 0
    alone = logits(matcher, replace(select(given, "support", own), way=1))
    together = logits(matcher, given)[:, :, :1]
    assert same(alone, together) != matcher.task_level


def test_a_batch_of_episodes_is_the_episodes_one_by_one(matcher: Matcher):
    given = task(episodes=3)
    together = logits(matcher, given)
    for episode in range(3):
        one = {
            name: changed(value, lambda all_: all_[episode : episode + 1])  # noqa: B023
            for name, value in vars(given).items()
        }
        assert same(logits(matcher, Task(**one)), together[episode : episode + 1])


@pytest.mark.parametrize("shots", [(1, 1, 1), SHOTS])
def test_preparing_first_changes_nothing(matcher: Matcher, shots: tuple[int, ...]):
    given = task(shots=shots)
    with torch.no_grad():
        later = matcher.compare(prepared(matcher, given)).logits
    assert same(later, logits(matcher, given))


@pytest.mark.parametrize("shots", [(1, 1, 1), SHOTS])
def test_norms_are_used_where_declared_and_change_nothing(matcher: Matcher, shots: tuple[int, ...]):
    given = prepared(matcher, task(shots=shots))
    own = {
        "query_norms": frame_norms(given.query),
        "support_norms": frame_norms(given.support),
    }
    doubled = {name: 2 * norms for name, norms in own.items()}
    with torch.no_grad():
        plain, known, wrong = (
            matcher.compare(replace(given, **norms)).logits for norms in ({}, own, doubled)
        )
    assert same(known, plain)
    assert same(wrong, plain) != matcher.reads_norms


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bimhm", {"shots": "mean"}),
        ("prototype", {"rule": "mean"}),
        ("otam", {}),
        ("chamfer", {"shots": "single"}),
        ("hcl", {"width": 12, "heads": 2}),
        ("itanet", {"width": 8, "groups": 2}),
    ],
)
def test_scores_are_means_of_pair_distances_where_declared(name: str, options: Mapping[str, Any]):
    built = build(name, CHANNELS, frames=FRAMES, **options).double().eval()
    given = task()
    assert built.pairwise
    ready = prepared(built, given)
    pairs = built.pair_distances(ready.query, ready.support)
    assert same(-shot_means(pairs, given.support_labels, way=3), logits(built, given))


def test_all_others_do_not_declare_pairs(matcher: Matcher):
    forms = {"BiMHM", "Prototype", "OTAM", "Chamfer", "HCL", "ITANet"}
    assert not matcher.pairwise or type(matcher).__name__ in forms


def test_maps_are_read_only_where_declared(matcher: Matcher):
    given = task()
    without = replace(given, support_maps=None, query_maps=None)
    if matcher.needs_maps:
        with pytest.raises(AssertionError, match="reads maps"):
            matcher(without)
    else:
        assert same(logits(matcher, without), logits(matcher, given))


def test_levels_are_read_only_where_declared(matcher: Matcher):
    given = task()
    without = replace(given, support_levels=(), query_levels=())
    assert same(logits(matcher, without), logits(matcher, given)) != bool(matcher.levels)


def test_condensing_first_changes_nothing(matcher: Matcher):
    given = task()
    with torch.no_grad():
        once = condensed(matcher, given)
    assert once.support_levels == once.query_levels == ()
    assert once.support.shape == given.support.shape
    assert same(logits(matcher, once), logits(matcher, given))


def test_the_parameters_with_a_rate_of_their_own_exist(matcher: Matcher):
    assert matcher.rate_factors().keys() <= dict(matcher.named_parameters()).keys()


def test_float32_gives_what_float64_gives(matcher: Matcher):
    given = task()
    exact = logits(matcher, given)
    single = logits(matcher.float(), mapped(given, Tensor.float))
    assert single.dtype == torch.float32
    scale = exact.abs().max().item()
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=2e-5 * max(scale, 1))


def test_autocast_and_half_precision_features_leave_the_arithmetic_in_float32(matcher: Matcher):
    halves = mapped(task(), Tensor.bfloat16)
    expected = logits(matcher.float(), mapped(halves, Tensor.float))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = logits(matcher, halves)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, expected)


def test_the_weights_make_a_round_trip(matcher: Matcher):
    saved = {name: weight.clone() for name, weight in matcher.state_dict().items()}
    expected = logits(matcher, task())
    with torch.no_grad():
        for parameter in matcher.parameters():
            parameter.zero_()
    matcher.load_state_dict(saved)
    assert same(logits(matcher, task()), expected)


def test_losses_have_the_declared_names_and_come_in_training_only(matcher: Matcher):
    assert matcher(task()).losses == {}
    losses = matcher(task(training=True)).losses
    assert set(losses) == set(matcher.loss_names)
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
    assert matcher.needs_pixels == ("reconstruction" in losses)
    assert matcher.metric_loss == "metric" or matcher.metric_loss in losses
    without = matcher(replace(task(training=True), encode=None)).losses
    assert set(losses) - set(without) == set(matcher.encoder_losses)


def test_every_weight_gets_a_finite_gradient(matcher: Matcher):
    given = task(training=True)
    assert given.query_labels is not None
    features = [given.support, given.query]
    if matcher.levels:
        levels = matcher.levels
        features = [*given.support_levels[-levels:], *given.query_levels[-levels:]]
    elif matcher.needs_maps:
        assert given.support_maps is not None
        assert given.query_maps is not None
        features = [given.support_maps, given.query_maps]
    for feature in features:
        feature.requires_grad_()
    scores = matcher.train()(given)
    loss = functional.cross_entropy(scores.logits.flatten(0, 1), given.query_labels.flatten())
    torch.stack([loss, *scores.losses.values()]).sum().backward()
    for name, weight in [*matcher.named_parameters(), *enumerate(features)]:
        assert weight.grad is not None, f"{name} is not reached"
        assert weight.grad.isfinite().all(), name


def test_identical_videos_have_finite_gradients(matcher: Matcher):
    given = task(shots=(2, 2), training=True)
    equal = mapped(given, lambda features: torch.ones_like(features, requires_grad=True))
    assert given.query_labels is not None
    scores = matcher(equal)
    loss = functional.cross_entropy(scores.logits.flatten(0, 1), given.query_labels.flatten())
    torch.stack([loss, *scores.losses.values()]).sum().backward()
    for name, weight in matcher.named_parameters():
        assert weight.grad is None or weight.grad.isfinite().all(), name
