import loss_oracles as loops
import pytest
import torch
from loss_oracles import agrees, random_maps

from tasd.losses.attention import (
    attention_transfer,
    channel_attention,
    spatial_attention,
    temporal_attention,
)

ATTENTIONS = {
    "channel": (channel_attention, loops.channel, (2, 3, 4)),
    "spatial": (spatial_attention, loops.spatial, (1, 2)),
    "temporal": (temporal_attention, loops.temporal, (1, 3, 4)),
}
STUDENT, TEACHER = random_maps(1), random_maps(2)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_an_attention_map_is_the_mean_absolute_value_of_the_loops(name):
    attention, loop, _ = ATTENTIONS[name]
    assert agrees(attention(STUDENT), [loop(video) for video in STUDENT.tolist()])


@pytest.mark.parametrize("name", ATTENTIONS)
@pytest.mark.parametrize(
    "mistake",
    {
        "signed": lambda maps, over: maps.mean(over),
        "summed": lambda maps, over: maps.abs().sum(over),
        "squared": lambda maps, over: maps.square().mean(over),
        "one axis left": lambda maps, over: maps.abs().mean(over[1:]).sum(over[0]),
        "wrong axis": lambda maps, over: maps.abs().mean(tuple((d % 4) + 1 for d in over)),
        "over videos": lambda maps, over: torch.stack([maps.abs().mean((0, *over))] * 2),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_mistaken_attention_map_is_told_apart(name, mistake):
    _, loop, over = ATTENTIONS[name]
    assert not agrees(mistake[1](STUDENT, over), [loop(video) for video in STUDENT.tolist()])


def transfer_by_loops(*, form, root):
    videos = zip(STUDENT.tolist(), TEACHER.tolist(), strict=True)
    per_video = [loops.transfer_squares(*pair) for pair in videos]
    terms = zip(*per_video, strict=True)
    return sum(loops.norm([s for s, _ in term], term[0][1], form=form, root=root) for term in terms)


@pytest.mark.parametrize("root", ["pair", "batch"])
@pytest.mark.parametrize("form", ["mean", "sum"])
def test_attention_transfer_is_that_of_the_loops(form, root):
    expected = transfer_by_loops(form=form, root=root)
    assert agrees(attention_transfer(STUDENT, TEACHER, form=form, root=root), expected)


def twin(*, over=((1, 2), (2, 3, 4), (1, 3, 4)), epsilon=1e-6, absolute=True, rooted=True):
    """Eq. 9 again, in few words, with room for a mistake."""
    total = torch.zeros((), dtype=torch.float64)
    for dims in over:
        student, teacher = (m.abs() if absolute else m for m in (STUDENT, TEACHER))
        squares = (student.mean(dims) - teacher.mean(dims)).square().flatten(1).mean(1) + epsilon
        total += (squares.sqrt() if rooted else squares).mean()
    return total


def test_the_twin_without_a_mistake_agrees():
    assert agrees(twin(), transfer_by_loops(form="mean", root="pair"))


@pytest.mark.parametrize(
    "mistake",
    [
        {"over": ((1, 2), (2, 3, 4))},
        {"over": ((1, 2), (1, 3, 4))},
        {"over": ((2, 3, 4), (1, 3, 4))},
        {"over": ((1, 2), (2, 3, 4), (2, 3, 4))},
        {"epsilon": 0.0},
        {"absolute": False},
        {"rooted": False},
    ],
    ids=str,
)
def test_a_mistaken_attention_transfer_is_told_apart(mistake):
    assert not agrees(twin(**mistake), transfer_by_loops(form="mean", root="pair"))


def test_the_forms_and_roots_are_four_different_numbers():
    values = {
        round(transfer_by_loops(form=form, root=root), 9)
        for form in ("mean", "sum")
        for root in ("pair", "batch")
    }
    assert len(values) == 4
