"""A matcher that breaks one rule of the contract fails that rule's test."""

import pytest
import torch
from torch import Tensor, nn

from tasd.matchers.arithmetic import class_means
from tasd.matchers.base import Matcher
from tasd.types import Features, Scores, Task
from tests.matchers import test_matcher_contract as contract
from tests.matchers import test_matcher_promises as promises


class Honest(Matcher):
    """A correct matcher: products of learned features of each video with the class means."""

    def __init__(self) -> None:
        super().__init__(contract.CHANNELS)
        self.view = nn.Linear(contract.CHANNELS, 8)

    def prepare(self, features: Features) -> Features:
        return Features(self.view(features.frames.mean(dim=1, keepdim=True)))

    def compare(self, task: Task) -> Scores:
        classes = class_means(task.support, task.support_labels, way=task.way).squeeze(2)
        return Scores(self.judge(task.query.squeeze(2), classes))

    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return query @ classes.mT


class FirstShot(Honest):
    def compare(self, task: Task) -> Scores:
        first = [(task.support_labels == c).int().argmax(1) for c in range(task.way)]
        rows = torch.arange(len(task.support_labels))[:, None]
        shown = task.support.squeeze(2)[rows, torch.stack(first, 1)]
        return Scores(self.judge(task.query.squeeze(2), shown))


class PrefersLaterClasses(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return super().judge(query, classes) + torch.arange(classes.shape[1])


class SeesOtherQueries(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return super().judge(query - query.mean(dim=1, keepdim=True), classes)


class SeesOtherClasses(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return super().judge(query, classes - classes.mean(dim=1, keepdim=True))


class SeesOtherEpisodes(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return super().judge(query, classes) - query.mean()


class SaysMoreUnprepared(Honest):
    def match(self, task: Task) -> Scores:
        return Scores(2 * super().match(task).logits)


class UnusedWeight(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Parameter(torch.ones(3))


class RootOfNothing(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return -(query[:, :, None] - classes[:, None]).square().sum(3).sqrt()


class CancelsInFloat32(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return (super().judge(query, classes) + 1e5) - 1e5


class HidesWeights(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.tensor(2.0)

    def load_state_dict(self, *given, **options):
        self.scale = torch.tensor(1.0)
        return super().load_state_dict(*given, **options)

    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return self.scale * super().judge(query, classes)


class LosesALoss(Honest):
    loss_names = ("own",)


class PrefersLaterQueries(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return super().judge(query, classes) * (1 + torch.arange(query.shape[1]))[:, None]


class KnowsFiveClasses(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return super().judge(query, classes)[:, :, :5]


class StaysInHalf(Honest):
    def forward(self, task: Task) -> Scores:
        half = task.query.dtype
        return Scores(super().forward(task).logits.to(half))


class Counts(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        self.calls += 1
        return super().judge(query, classes)


class PreparesTogether(Honest):
    def prepare(self, features: Features) -> Features:
        frames = super().prepare(features).frames
        return Features(frames - frames.mean(dim=0, keepdim=True))


class Near(Honest):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return -(query[:, :, None] - classes[:, None]).square().sum(3)


class Far(Near):
    def judge(self, query: Tensor, classes: Tensor) -> Tensor:
        return -super().judge(query, classes)


BROKEN = [
    (PrefersLaterQueries, promises.test_the_order_of_the_queries_does_not_matter, {}),
    (PrefersLaterQueries, promises.test_a_query_may_be_asked_twice, {}),
    (
        KnowsFiveClasses,
        promises.test_any_number_of_classes_with_unequal_shots_is_scored,
        {"way": 6},
    ),
    (
        StaysInHalf,
        promises.test_half_precision_features_are_scored_in_float32,
        {"dtype": torch.float16},
    ),
    (Counts, promises.test_scoring_leaves_features_and_weights_as_they_were, {}),
    (PreparesTogether, promises.test_queries_prepared_alone_are_those_prepared_together, {}),
    (FirstShot, contract.test_the_order_of_the_support_does_not_matter, {"shots": (2, 1, 3)}),
    (
        PrefersLaterClasses,
        contract.test_renaming_the_classes_permutes_the_columns,
        {"shots": (2, 1, 3)},
    ),
    (SeesOtherQueries, contract.test_a_query_does_not_see_the_others_unless_declared, {}),
    (SeesOtherClasses, contract.test_a_class_does_not_see_the_others_unless_declared, {}),
    (SeesOtherEpisodes, contract.test_a_batch_of_episodes_is_the_episodes_one_by_one, {}),
    (SaysMoreUnprepared, contract.test_preparing_first_changes_nothing, {"shots": (2, 1, 3)}),
    (UnusedWeight, contract.test_every_weight_gets_a_finite_gradient, {}),
    (RootOfNothing, contract.test_identical_videos_have_finite_gradients, {}),
    (CancelsInFloat32, contract.test_float32_gives_what_float64_gives, {}),
    (HidesWeights, contract.test_the_weights_make_a_round_trip, {}),
    (LosesALoss, contract.test_losses_have_the_declared_names_and_come_in_training_only, {}),
]


def built(kind: type[Matcher]) -> Matcher:
    torch.manual_seed(0)
    return kind().double().eval()  # type: ignore[call-arg]


@pytest.mark.parametrize(("kind", "promise", "given"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_a_broken_promise_is_caught(kind, promise, given):
    with pytest.raises(AssertionError):
        promise(built(kind), **given)


@pytest.mark.parametrize(("kind", "promise", "given"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_one_that_keeps_them_all_passes(kind, promise, given):
    promise(built(Honest), **given)


def test_one_that_prefers_the_unlike_is_caught(monkeypatch: pytest.MonkeyPatch):
    promise = promises.test_before_training_a_video_is_most_like_itself
    monkeypatch.setattr(promises, "fresh", lambda name: built(Near))
    promise("bimhm")
    monkeypatch.setattr(promises, "fresh", lambda name: built(Far))
    with pytest.raises(AssertionError):
        promise("bimhm")
