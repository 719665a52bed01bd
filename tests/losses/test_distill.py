import copy
import math

import numpy as np
import pytest
import torch
from loss_oracles import agrees

from tasd.losses.distill import (
    ProjectionHead,
    moved_centre,
    same_class_pairs,
    self_distillation,
)

GENERATOR = torch.Generator().manual_seed(20)
STUDENT, TEACHER = torch.randn(2, 4, 5, generator=GENERATOR, dtype=torch.float64) / 10
CENTRE = torch.randn(5, generator=GENERATOR, dtype=torch.float64) / 10
PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 6e-6)], ids=str
)


def distillation_by_loops():
    centre, losses = CENTRE.tolist(), []
    for student, teacher in zip(STUDENT.tolist(), TEACHER.tolist(), strict=True):
        sharp = [math.exp((z - c) / 0.04) for z, c in zip(teacher, centre, strict=True)]
        soft = [math.exp(z / 0.1) for z in student]
        loss = 0.0
        for i in range(len(centre)):
            loss -= sharp[i] / sum(sharp) * math.log(soft[i] / sum(soft))
        losses.append(loss)
    return sum(losses) / len(losses)


def test_self_distillation_is_that_of_the_loops():
    assert agrees(self_distillation(STUDENT, TEACHER, centre=CENTRE), distillation_by_loops())


def twin(student, teacher, *, centre=CENTRE, teach=0.04, learn=0.1, dim=1, plain=False):
    """Eq. 2 again, teacher not detached, with room for a mistake."""
    targets = ((teacher - centre) / teach).softmax(dim)
    learned = (student / learn).softmax(dim)
    return -(targets * (learned if plain else learned.log())).sum(1).mean()


def test_the_twin_without_a_mistake_agrees():
    assert agrees(twin(STUDENT, TEACHER), distillation_by_loops())


@pytest.mark.parametrize(
    "mistake",
    [
        {"centre": 0.0},
        {"centre": -CENTRE},
        {"teach": 0.1},
        {"learn": 0.04},
        {"teach": 0.1, "learn": 0.04},
        {"dim": 0},
        {"plain": True},
    ],
    ids=lambda mistake: ", ".join(mistake),
)
def test_a_mistaken_self_distillation_is_told_apart(mistake):
    assert not agrees(twin(STUDENT, TEACHER, **mistake), distillation_by_loops())
    assert not agrees(twin(TEACHER, STUDENT), distillation_by_loops())


def test_no_gradient_reaches_the_teacher_or_the_centre():
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    centre = CENTRE.clone().requires_grad_()
    self_distillation(student, teacher, centre=centre).backward()
    assert teacher.grad is None
    assert centre.grad is None
    assert student.grad.abs().sum() > 0
    twin(student, teacher).backward()
    assert teacher.grad.abs().sum() > 0


def test_the_gradient_is_that_of_finite_differences():
    student = STUDENT.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: self_distillation(s, TEACHER, centre=CENTRE), student)


def test_autocast_changes_no_projection():
    head = ProjectionHead(6, hidden=16, bottleneck=8, out_dim=5)
    features = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    plain = head(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(head(features), plain)
        assert head.mlp(features).dtype == torch.bfloat16
    assert head(features.bfloat16()).dtype == torch.float32


def test_half_precision_outputs_are_widened_before_the_softmax():
    student, teacher = STUDENT.bfloat16(), TEACHER.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = self_distillation(student, teacher, centre=CENTRE.float())
    exact = self_distillation(student.double(), teacher.double(), centre=CENTRE)
    assert agrees(loss, exact.item(), 1e-6)


def test_pairs_of_a_class_are_all_of_its_shots_and_queries():
    student = torch.tensor([1, 0, 1, 2])
    teacher = torch.tensor([0, 1, 2, 1, 0, 2])
    pairs = same_class_pairs(student, teacher)
    found = set(zip(pairs.student.tolist(), pairs.teacher.tolist(), strict=True))
    assert found == {(0, 1), (0, 3), (1, 0), (1, 4), (2, 1), (2, 3), (3, 2), (3, 5)}
    assert len(pairs.student) == 8


def test_outputs_of_the_head_are_cosines_with_its_rows():
    head = ProjectionHead(6, hidden=16, bottleneck=8, out_dim=5).double()
    features = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    hidden, rows = head.mlp(features), head.last.parametrizations.weight.original1
    for video, output in zip(hidden.tolist(), head(features).tolist(), strict=True):
        for row, value in zip(rows.tolist(), output, strict=True):
            dot = sum(a * b for a, b in zip(video, row, strict=True))
            assert math.isclose(value, dot / math.hypot(*video) / math.hypot(*row), rel_tol=1e-9)


def test_the_rows_magnitude_is_one_and_is_not_trained():
    head = ProjectionHead(6, hidden=16, bottleneck=8, out_dim=5)
    weights = [parameter for parameter in head.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(weights, lr=10.0)
    head(torch.randn(4, 6, generator=torch.Generator().manual_seed(1)))[:, 0].sum().backward()
    assert all(weight.grad.isfinite().all() for weight in weights)
    before = head.last.weight.detach().clone()
    optimiser.step()
    assert agrees(head.last.weight.norm(dim=1), torch.ones(5), 1e-6)
    assert not agrees(head.last.weight, before.double(), 1e-3)
    assert not head.last.parametrizations.weight.original0.requires_grad


def test_a_head_starts_with_small_truncated_weights_and_no_biases():
    head = ProjectionHead(64)
    directions = head.last.parametrizations.weight.original1
    for weight in (head.mlp[0].weight, head.mlp[2].weight, head.mlp[4].weight, directions):
        assert abs(weight.std().item() - 0.02) < 1e-3
    assert all(head.mlp[i].bias.abs().max() == 0 for i in (0, 2, 4))
    assert head.last.weight.shape == (4096, 256)
    assert head.last.bias is None


def test_a_copy_of_a_head_shares_nothing_and_loads_its_weights():
    head = ProjectionHead(6, hidden=16, bottleneck=8, out_dim=5)
    other = copy.deepcopy(head)
    features = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(other(features), head(features))
    with torch.no_grad():
        other.last.parametrizations.weight.original1.add_(torch.eye(5, 8))
    assert not torch.equal(other(features), head(features))
    head.load_state_dict(other.state_dict())
    assert torch.equal(other(features), head(features))


def test_the_centre_moves_by_a_tenth_towards_the_mean():
    outputs = TEACHER.clone().requires_grad_()
    moved = moved_centre(CENTRE, outputs)
    for i in range(5):
        mean = sum(row[i] for row in TEACHER.tolist()) / 4
        assert math.isclose(moved[i].item(), 0.9 * CENTRE[i].item() + 0.1 * mean, rel_tol=1e-12)
    assert not moved.requires_grad
    assert not agrees(moved_centre(CENTRE, outputs, momentum=0.1), moved.tolist())


@pytest.fixture(scope="module")
def golden(shared):
    arrays = np.load(shared / "golden" / "dino.npz", allow_pickle=False)
    return {
        name: torch.from_numpy(array.astype(np.float64))
        for name, array in arrays.items()
        if array.dtype.kind == "f"
    }


def golden_head(golden, name, dtype):
    head = ProjectionHead(24, hidden=40, bottleneck=16, out_dim=50)
    names = {"weight_g": "parametrizations.weight.original0"}
    names["weight_v"] = "parametrizations.weight.original1"
    state = {}
    for key in golden:
        if key.startswith(f"w/{name}."):
            *path, last = key.removeprefix(f"w/{name}.").replace("last_layer", "last").split(".")
            state[".".join([*path, names.get(last, last)])] = golden[key]
    head.load_state_dict(state)
    return head.to(dtype)


@PRECISIONS
def test_the_head_agrees_with_dino(golden, dtype, tolerance):
    for name in ("student", "teacher"):
        outputs = golden_head(golden, name, dtype)(golden[f"{name}_in"].to(dtype))
        assert agrees(outputs, golden[f"{name}_out_0"], tolerance)
    head = golden_head(golden, "teacher", dtype)
    head.last.parametrizations.weight.original0.data.fill_(1.0)
    wrong = head(golden["teacher_in"].to(dtype))
    assert not agrees(wrong, golden["teacher_out_0"], 1e-3)


def crop_pairs(*, same=False):
    """DINO's pairs: both global crops with each other crop (``same``: also with themselves)."""
    pairs = [(i, v) for i in range(2) for v in range(4) if same or i != v]
    rows = [(6 * i + b, 6 * v + b) for i, v in pairs for b in range(6)]
    return [i for i, _ in rows], [v for _, v in rows]


def dino_loss(golden, step, dtype, *, temperature, student=None, same=False):
    number = min(step, 1)
    student = golden[f"student_out_{number}"].to(dtype) if student is None else student
    teacher = golden[f"teacher_out_{number}"].to(dtype)
    centre = golden["center0" if step == 0 else f"center_{step}"][0].to(dtype)
    teaching, learning = crop_pairs(same=same)
    return self_distillation(
        student[learning], teacher[teaching], centre=centre, teacher_temperature=temperature
    )


@PRECISIONS
def test_the_loss_agrees_with_dino(golden, dtype, tolerance):
    for step, temperature in enumerate((0.04, 0.055, 0.07)):
        loss = dino_loss(golden, step, dtype, temperature=temperature)
        assert agrees(loss, golden[f"loss_{step}"], tolerance)
        wrong = dino_loss(golden, step, dtype, temperature=temperature, same=True)
        assert not agrees(wrong, golden[f"loss_{step}"], 1e-3)


@PRECISIONS
def test_the_gradient_agrees_with_dino(golden, dtype, tolerance):
    student = golden["student_out_0"].to(dtype, copy=True).requires_grad_()
    dino_loss(golden, 0, dtype, temperature=0.04, student=student).backward()
    assert agrees(student.grad, golden["dloss_dstudent_out_0"], tolerance)


@PRECISIONS
def test_the_centre_agrees_with_dino(golden, dtype, tolerance):
    for step in range(3):
        centre = golden["center0" if step == 0 else f"center_{step}"][0].to(dtype)
        outputs = golden[f"teacher_out_{min(step, 1)}"].to(dtype)
        assert agrees(moved_centre(centre, outputs), golden[f"center_{step + 1}"][0], tolerance)
