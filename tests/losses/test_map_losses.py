"""Common properties of the three losses on feature maps: Eqs 9, 10 and 11."""

import pytest
import torch
from loss_oracles import agrees, random_maps

from tasd.losses import mask
from tasd.losses.attention import attention_transfer
from tasd.losses.mask import masked_imitation
from tasd.losses.relation import relation_distillation


def relation(student, teacher, **options):
    frames = (maps.transpose(1, 2).flatten(0, 1) for maps in (teacher, student))
    return relation_distillation(*frames, **options)


every_loss = pytest.mark.parametrize("loss", [attention_transfer, masked_imitation, relation])


def gradient(loss, student, teacher, **options):
    student = student.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(student, teacher, **options), student)[0]


@every_loss
@pytest.mark.parametrize("form", ["mean", "sum"])
@pytest.mark.parametrize("root", ["pair", "batch"])
def test_an_equal_teacher_gives_no_gradient_and_no_nan(loss, form, root):
    maps = random_maps(5).float()
    assert torch.equal(gradient(loss, maps, maps, form=form, root=root), torch.zeros_like(maps))


@every_loss
def test_a_bare_root_gives_nan_where_teacher_and_student_are_equal(loss):
    maps = random_maps(5).float()
    assert gradient(loss, maps, maps, epsilon=0.0).isnan().any()


@every_loss
def test_rounding_noise_gets_no_gradient_of_full_size(loss):
    # Differences of one size, so that the per-element means are of one size too.
    maps = random_maps(5).abs() + 1
    full = gradient(loss, maps, maps + 0.1).norm()
    assert gradient(loss, maps, maps + 1e-6).norm() < full / 100
    assert gradient(loss, maps, maps + 1e-6, epsilon=1e-12).norm() > full / 2


@every_loss
def test_the_teacher_is_a_constant(loss):
    student, teacher = (random_maps(seed).requires_grad_() for seed in (6, 7))
    loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    # The formula is symmetric: as the first argument the teacher gets a gradient.
    loss(teacher, student).backward()
    assert teacher.grad.abs().sum() > 0


@every_loss
def test_the_mean_form_does_not_depend_on_the_number_of_pairs(loss):
    student, teacher = random_maps(8), random_maps(9)
    thrice = [maps.repeat(3, 1, 1, 1, 1) for maps in (student, teacher)]
    for root in ("pair", "batch"):
        once = loss(student, teacher, root=root)
        assert agrees(loss(*thrice, root=root), once, 1e-12)
    assert not agrees(loss(*thrice, form="sum", root="batch"), once, 1e-3)


@every_loss
@pytest.mark.parametrize("dim", [1, 2, 3, 4], ids=["channels", "time", "height", "width"])
def test_the_mean_form_does_not_depend_on_the_size_of_the_maps(loss, dim):
    maps = random_maps(8), random_maps(9)
    finer = [m.repeat_interleave(2, dim) for m in maps]
    assert agrees(loss(*finer), loss(*maps), 1e-12)
    # The sum grows with the root of a pair's elements: a pair of Eq. 11 is one of frames, and the
    # terms of Eq. 9 have elements of their own (frames for G^t, channels for G^c, pixels for G^s).
    grown = loss(*finer, form="sum") / loss(*maps, form="sum")
    if loss is attention_transfer:
        assert 1.01 < grown < 1.4
    else:
        assert agrees(grown, 1 if loss is relation and dim == 2 else 2**0.5)


@every_loss
def test_the_root_per_pair_is_the_mean_of_the_pairs_own_losses(loss):
    student, teacher = random_maps(10), random_maps(11)
    one_by_one = torch.stack([loss(student[i : i + 1], teacher[i : i + 1]) for i in range(2)])
    assert agrees(loss(student, teacher), one_by_one.mean())
    assert not agrees(loss(student, teacher, root="batch"), one_by_one.mean())


@pytest.mark.parametrize("loss", [attention_transfer, relation])
@pytest.mark.parametrize("form", ["mean", "sum"])
@pytest.mark.parametrize("root", ["pair", "batch"])
def test_the_gradient_is_that_of_finite_differences(loss, form, root):
    student = random_maps(12).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: loss(s, random_maps(13), form=form, root=root), student
    )


@pytest.mark.parametrize("form", ["mean", "sum"])
@pytest.mark.parametrize("root", ["pair", "batch"])
def test_the_gradient_of_imitation_is_that_of_finite_differences(form, root, monkeypatch):
    # The gradient treats masks as constants, so the finite differences must too.
    for name in ("spatial_mask", "temporal_mask", "channel_mask"):
        still = getattr(mask, name)(random_maps(12), random_maps(13))
        monkeypatch.setattr(mask, name, lambda *maps, temperature, still=still: still)
    student = random_maps(12).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: masked_imitation(s, random_maps(13), form=form, root=root), student
    )


@every_loss
def test_autocast_changes_nothing(loss):
    student, teacher = random_maps(14).float(), random_maps(15).float()
    plain = loss(student, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = loss(student, teacher)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, plain)


@every_loss
def test_half_precision_maps_are_widened_before_any_arithmetic(loss):
    student, teacher = (random_maps(seed).bfloat16() for seed in (14, 15))
    exact = loss(student.double(), teacher.double())
    assert agrees(loss(student, teacher), exact.item(), 1e-6)
    assert gradient(loss, student, teacher).dtype == torch.bfloat16


@every_loss
def test_channels_last_maps_give_the_same_loss_and_gradient(loss):
    student, teacher = random_maps(16), random_maps(17)
    last = [maps.to(memory_format=torch.channels_last_3d) for maps in (student, teacher)]
    assert agrees(loss(*last), loss(student, teacher).item())
    assert agrees(gradient(loss, *last), gradient(loss, student, teacher))
