import copy

import pytest
import torch

from tasd import recipes
from tasd.config import Config
from tasd.episodes import EpisodeSampler
from tasd.recipes.settings import replace
from tasd.runs.checkpoint import Progress
from tasd.training.distributed import World
from tasd.training.learner import Learner, build_learner
from tasd.training.plan import resolve, training_plan
from tasd.training.schedule import ema_coefficient, ema_start, steps_down, warmup_cosine
from tasd.training.teacher import Teacher
from tasd.types import EpisodeBatch

ALONE = World(0, 1, torch.device("cpu"))

VIDEOS = {f"class {c}": [f"class {c}/v{v}" for v in range(4)] for c in range(6)}


def config(*settings) -> Config:
    off = {key.partition(".")[2] for key, value in settings if value == 0}
    small = [
        ("network.backbone", "resnet18"),
        ("network.weights", "none"),
        ("network.depth", 1),
        ("data.crop", 32),
        ("data.frames", 3),
        ("episode.queries", 2),
        *([] if "ce" in off else [("distill.hidden", 32), ("distill.out_dim", 24)]),
        *([] if "pr" in off else [("distill.states", 16), ("distill.nodes", 4)]),
        ("training.precision", "float32"),
    ]
    return replace(recipes.make("tasd", dataset="folder", shot=1), [*small, *settings])


def batch(*, second: str = "none", way: int = 5) -> EpisodeBatch:
    sampler = EpisodeSampler(
        videos=VIDEOS,
        way=way,
        shot=1,
        queries=2,
        length=1,
        seed=0,
        frames=3,
        training=True,
        second=second,
    )
    episode = sampler[0]
    random = torch.Generator().manual_seed(1)

    def pixels(count: int) -> torch.Tensor:
        shape = (count, 3, 32, 32, 3)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)

    return EpisodeBatch(
        episode,
        pixels(len(episode.support) + len(episode.query)),
        torch.tensor(episode.support_labels),
        torch.tensor(episode.query_labels),
        pixels(len(episode.second)) if episode.second else None,
    )


@pytest.fixture(scope="module")
def learner() -> Learner:
    torch.manual_seed(0)
    return build_learner(config(), classes=tuple(VIDEOS)).train()


def moved(student: float, teacher: float, coefficient: float) -> float:
    """Eq. 1 as it is printed."""
    return (1 - coefficient) * teacher + coefficient * student


def test_the_teacher_follows_by_the_printed_equation(learner):
    teacher = Teacher(learner.student, config().distill)
    student = copy.deepcopy(learner.student)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn_like(parameter))
    before = {name: p.clone() for name, p in teacher.model.named_parameters()}
    teacher.follow(student, coefficient=0.3)
    theirs = dict(student.named_parameters())
    for name, own in teacher.model.named_parameters():
        expected = moved(theirs[name].double(), before[name].double(), 0.3).float()
        torch.testing.assert_close(own, expected)
        swapped = moved(before[name].double(), theirs[name].double(), 0.3).float()
        assert not torch.allclose(own, swapped)  # lambda weighs the student, not the teacher
        assert not torch.allclose(own, before[name])


def test_the_buffers_are_copied_and_not_averaged(learner):
    teacher = Teacher(learner.student, config().distill)
    student = copy.deepcopy(learner.student)
    student.backbone.bn1.running_mean.add_(1.0)
    teacher.follow(student, coefficient=0.25)
    torch.testing.assert_close(
        teacher.model.backbone.bn1.running_mean, student.backbone.bn1.running_mean, rtol=0, atol=0
    )


def test_no_gradient_reaches_the_teacher_and_dropout_is_off(learner):
    teacher = Teacher(learner.student, config().distill).train()
    one = batch()
    targets = teacher(one)
    again = teacher(one)
    assert not targets.projections.requires_grad
    torch.testing.assert_close(targets.projections, again.projections, rtol=0, atol=0)
    learner.zero_grad()
    learner(one, targets).total.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert not any(module.training for module in teacher.model.modules())


@pytest.mark.parametrize("ce", ["CS", "SS", "QS"])
@pytest.mark.parametrize("maps", ["CS", "SS", "QS"])
def test_the_teacher_sees_only_what_the_pair_modes_need(learner, ce, maps):
    options = config(("distill.ce_pairs", ce), ("distill.map_pairs", maps)).distill
    teacher = Teacher(learner.student, options)
    seen = []
    forward = teacher.model.forward

    def counting(frames):
        seen.append(len(frames))
        return forward(frames)

    teacher.model.forward = counting
    second = {"CS": "none", "SS": "support", "QS": "query"}[ce]
    one = batch(second=second)
    targets = teacher(one)
    needed = {"CS": ["support"], "SS": ["second of support"], "QS": ["second of query"]}[ce]
    needed += {"CS": ["support"], "SS": ["support"], "QS": ["query"]}[maps]
    assert sorted(seen) == sorted(10 if "query" in name else 5 for name in set(needed))
    assert targets.projections.shape == (10 if ce == "QS" else 5, 24)
    assert targets.maps.shape[0] == (10 if maps == "QS" else 5)


@pytest.mark.parametrize("ce", ["CS", "SS", "QS"])
@pytest.mark.parametrize("maps", ["CS", "SS", "QS"])
def test_every_pair_mode_gives_finite_losses_and_gradients_at_step_zero(ce, maps):
    settings = config(("distill.ce_pairs", ce), ("distill.map_pairs", maps))
    torch.manual_seed(0)
    learner = build_learner(settings, classes=tuple(VIDEOS)).train()
    teacher = Teacher(learner.student, settings.distill)
    one = batch(second={"CS": "none", "SS": "support", "QS": "query"}[ce])
    losses = learner(one, teacher(one))
    assert set(losses.terms) == {"metric", "ce", "at", "am", "pr", "auxiliary"}
    losses.total.backward()
    for name, parameter in learner.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_with_equal_networks_and_pixels_the_map_terms_start_at_zero_with_finite_slopes():
    settings = config(("network.dropout", 0.0))
    torch.manual_seed(0)
    learner = build_learner(settings, classes=tuple(VIDEOS)).eval()  # BatchNorm as the teacher's
    assert learner.student.relation is not None
    learner.student.relation.train()  # both normalise by the episode's statistics
    teacher = Teacher(learner.student, settings.distill)
    one = batch()
    losses = learner(one, teacher(one))
    for name in ("at", "am", "pr"):
        assert float(losses.terms[name].detach()) < 0.01
    losses.total.backward()
    assert all(p.grad.isfinite().all() for p in learner.parameters() if p.grad is not None)


def test_the_total_is_the_weighted_sum_of_the_terms(learner):
    teacher = Teacher(learner.student, config().distill)
    one = batch()
    losses = learner(one, teacher(one))
    weights = {"metric": 1, "ce": 1, "at": 1, "am": 0.5, "pr": 0.5, "auxiliary": 0.1}
    by_hand = sum(weights[name] * float(term.detach()) for name, term in losses.terms.items())
    assert float(losses.total.detach()) == pytest.approx(by_hand, rel=1e-6)


def test_a_term_of_weight_zero_builds_no_parameters():
    settings = config(("distill.pr", 0), ("distill.ce", 0), ("training.auxiliary", 0))
    learner = build_learner(settings, classes=tuple(VIDEOS))
    names = {name.split(".")[0] for name, _ in learner.named_parameters()}
    inside = {name.split(".")[0] for name, _ in learner.student.named_parameters()}
    assert names == {"student"}
    assert inside == {"backbone", "encoder"}


def test_the_centre_moves_towards_the_step_mean(learner):
    teacher = Teacher(learner.student, config().distill)
    teacher.recentre(torch.ones(24))
    torch.testing.assert_close(teacher.centre, torch.full((24,), 0.1))


def test_lambda_starts_as_said_and_falls_to_zero():
    assert ema_start(400) == pytest.approx(0.05)
    assert ema_start(30_000) == 0.004
    assert ema_start(50) == 0.1
    values = [ema_coefficient(s, steps=100, start=0.1, kind="cosine") for s in (0, 50, 100)]
    assert values == pytest.approx([0.1, 0.05, 0.0])
    assert ema_coefficient(70, steps=100, start=0.004, kind="constant") == 0.004


def test_the_rate_rises_to_one_and_falls_to_zero():
    factors = [warmup_cosine(step, steps=100, warmup=10) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] < 0.001


def test_the_rate_falls_in_steps_after_parts_of_the_run():
    at = {"steps": 100, "at": (0.25, 0.5, 0.75), "factor": 0.5}
    factors = [steps_down(step, warmup=0, **at) for step in range(100)]
    assert factors == [1.0] * 25 + [0.5] * 25 + [0.25] * 25 + [0.125] * 25
    rising = [steps_down(step, warmup=10, **at) for step in range(100)]
    assert rising[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rising[10:] == factors[10:]


def test_a_run_with_steps_has_their_rates_and_no_rise_unless_asked():
    steps = ("optimiser.schedule", "step")
    chosen = [steps, ("optimiser.step_at", [0.5]), ("optimiser.step_factor", 0.2)]
    plan = training_plan(resolve(config(*chosen, ("training.episodes", 10)), ALONE), ALONE)
    rates = [plan.rate(Progress(step=step, episode=step)) for step in range(10)]
    assert rates == pytest.approx([1.0] * 5 + [0.2] * 5)
    plan = training_plan(resolve(config(*chosen, ("optimiser.warmup", 4)), ALONE), ALONE)
    assert plan.rate(Progress()) == 0.25
