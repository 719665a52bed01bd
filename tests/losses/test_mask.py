import loss_oracles as loops
import numpy as np
import pytest
import torch
from loss_oracles import agrees, random_maps
from torch.utils._python_dispatch import TorchDispatchMode

from tasd.losses.attention import channel_attention, spatial_attention, temporal_attention
from tasd.losses.mask import channel_mask, masked_imitation, spatial_mask, temporal_mask

MASKS = {
    "spatial": (spatial_mask, spatial_attention, loops.spatial),
    "temporal": (temporal_mask, temporal_attention, loops.temporal),
    "channel": (channel_mask, channel_attention, loops.channel),
}
STUDENT, TEACHER = random_maps(3), random_maps(4)


def video_pairs():
    return zip(STUDENT.tolist(), TEACHER.tolist(), strict=True)


def mask_by_loops(name, temperature):
    loop = MASKS[name][2]
    rows = [loops.mask(loop, *pair, temperature) for pair in video_pairs()]
    return torch.tensor(rows, dtype=torch.float64).view(MASKS[name][1](STUDENT).shape)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_that_of_the_loops_and_its_mean_is_one(name, temperature):
    mask = MASKS[name][0](STUDENT, TEACHER, temperature=temperature)
    assert agrees(mask, mask_by_loops(name, temperature))
    assert agrees(mask.flatten(1).mean(1), [1.0, 1.0])


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_a_constant(name):
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    assert not MASKS[name][0](student, teacher).requires_grad
    assert MASKS[name][1](student).requires_grad


def softmax(attention, dim=1):
    return attention.flatten(1).softmax(dim).view_as(attention)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(
    "mistake",
    {
        "softmax over the pairs": lambda s, t, n: n * softmax((s + t) / 0.5, dim=0),
        "no temperature": lambda s, t, n: n * softmax(s + t),
        "not times the length": lambda s, t, n: softmax((s + t) / 0.5),
        "mean of two softmaxes": lambda s, t, n: n * (softmax(s / 0.5) + softmax(t / 0.5)) / 2,
        "mean of two attentions": lambda s, t, n: n * softmax((s + t) / 2 / 0.5),
        "student alone": lambda s, t, n: n * softmax(s / 0.5),
        "teacher alone": lambda s, t, n: n * softmax(t / 0.5),
        "times the temperature": lambda s, t, n: n * softmax((s + t) * 0.5),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_mistaken_mask_is_told_apart(name, mistake):
    attention = MASKS[name][1]
    student = attention(STUDENT)
    wrong = mistake[1](student, attention(TEACHER), student[0].numel())
    assert not agrees(wrong, mask_by_loops(name, 0.5))


def test_a_spatial_softmax_over_columns_alone_is_told_apart():
    total = spatial_attention(STUDENT) + spatial_attention(TEACHER)
    wrong = total.shape[2] * (total / 0.5).softmax(2)
    assert not agrees(wrong, mask_by_loops("spatial", 0.5))


def test_the_printed_temporal_mask_cannot_be_computed():
    with pytest.raises(RuntimeError, match="must match"):
        temporal_attention(STUDENT) + channel_attention(TEACHER)


def imitation_by_loops(*, form="mean", root="pair", temperature=1.0):
    squares = [loops.imitation_squares(*pair, temperature) for pair in video_pairs()]
    return loops.norm(squares, STUDENT[0].numel(), form=form, root=root)


@pytest.mark.parametrize("root", ["pair", "batch"])
@pytest.mark.parametrize("form", ["mean", "sum"])
def test_masked_imitation_is_that_of_the_loops(form, root):
    for temperature in (1.0, 0.5):
        loss = masked_imitation(STUDENT, TEACHER, temperature=temperature, form=form, root=root)
        assert agrees(loss, imitation_by_loops(form=form, root=root, temperature=temperature))


def twin(student, teacher, *, masks="stc", detached=True, epsilon=1e-6, power=2):
    """Eq. 10 again, by plain autograd and a stored product of masks, with room for a mistake."""
    view = {"s": (-1, 1, 1, 5, 2), "t": (-1, 1, 4, 1, 1), "c": (-1, 3, 1, 1, 1)}
    dims = {"s": (1, 2), "t": (1, 3, 4), "c": (2, 3, 4)}
    product = torch.ones(1, dtype=torch.float64)
    for name in masks:
        total = student.abs().mean(dims[name]) + teacher.abs().mean(dims[name])
        length = total[0].numel()
        product = product * (length * softmax(total)).view(view[name])
    product = product.detach() if detached else product
    squares = (student - teacher).abs().pow(power) * product
    return (squares.flatten(1).mean(1) + epsilon).sqrt().mean()


def student_gradient(loss, **options):
    student = STUDENT.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(student, TEACHER, **options), student)
    return gradient


def test_the_twin_without_a_mistake_agrees_in_value_and_gradient():
    assert agrees(twin(STUDENT, TEACHER), imitation_by_loops())
    assert agrees(student_gradient(masked_imitation), student_gradient(twin))


@pytest.mark.parametrize(
    "mistake",
    [{"masks": "tc"}, {"masks": "sc"}, {"masks": "st"}, {"epsilon": 0.0}, {"power": 1}],
    ids=str,
)
def test_a_mistaken_imitation_is_told_apart(mistake):
    assert not agrees(twin(STUDENT, TEACHER, **mistake), imitation_by_loops())


def test_masks_that_pass_a_gradient_are_told_apart():
    assert agrees(twin(STUDENT, TEACHER, detached=False), imitation_by_loops())
    wrong = student_gradient(twin, detached=False)
    assert not agrees(student_gradient(masked_imitation), wrong)


class NewTensors(TorchDispatchMode):
    """Counter of new storages that have at least so many elements."""

    def __init__(self, elements):
        super().__init__()
        self.elements, self.seen = elements, []

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        known = {a.untyped_storage()._cdata for a in arguments if isinstance(a, torch.Tensor)}
        result = operation(*arguments, **(options or {}))
        if isinstance(result, torch.Tensor) and result.numel() >= self.elements:
            new = result.untyped_storage()
            if new._cdata not in known and new.nbytes() >= result.element_size() * self.elements:
                self.seen.append(str(operation))
        return result


def large_tensors(loss):
    """List tensors of the size of the maps: kept, made in forward, made in backward."""
    student, kept = STUDENT.clone().requires_grad_(), []
    own = {student.untyped_storage()._cdata, TEACHER.untyped_storage()._cdata}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if tensor.numel() >= student.numel() and storage._cdata not in own:
            kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        with NewTensors(student.numel()) as forward:
            value = loss(student, TEACHER)
        with NewTensors(student.numel()) as backward:
            torch.autograd.grad(value, student)
    return kept, forward.seen, backward.seen


def test_neither_forward_nor_backward_stores_a_product_of_masks():
    kept, forward, backward = large_tensors(masked_imitation)
    assert kept == []
    # Forward: six attentions take absolute values, and one difference is computed.
    assert len(forward) == 6 + 1
    assert sum("abs" in name for name in forward) == 6
    assert len(backward) == 1


def test_a_stored_product_of_masks_is_seen():
    kept, _, backward = large_tensors(twin)
    assert len(kept) >= 2
    assert len(backward) > 1


def read(path):
    return {
        name: torch.from_numpy(array.astype(np.float64))
        for name, array in np.load(path, allow_pickle=False).items()
        if array.dtype.kind == "f"
    }


@pytest.fixture(scope="module")
def golden(shared):
    return read(shared / "golden" / "fbkd.npz")


PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 5e-5)], ids=str
)


@PRECISIONS
def test_masks_agree_with_the_published_detection_code(golden, dtype, tolerance):
    student, teacher = (golden[n].to(dtype).unsqueeze(2) for n in ("student", "teacher"))
    nothing = torch.zeros_like(student)
    for first, second, prefix in (
        (student, teacher, "sumfirst"),
        (student, nothing, "s"),
        (nothing, teacher, "t"),
    ):
        space = spatial_mask(first, second, temperature=0.5)
        channel = channel_mask(first, second, temperature=0.5)
        assert agrees(space[:, None], golden[f"{prefix}_spatial_mask"], tolerance)
        assert agrees(channel[..., None, None], golden[f"{prefix}_channel_mask"], tolerance)
    wrong = channel_mask(student, teacher, temperature=1.0)[..., None, None]
    assert not agrees(wrong, golden["sumfirst_channel_mask"], 1e-3)


@PRECISIONS
def test_imitation_agrees_with_the_published_detection_code(golden, dtype, tolerance):
    # One frame: the temporal mask is 1.
    student, teacher = (golden[n].to(dtype).unsqueeze(2) for n in ("student", "teacher"))
    options = {"form": "sum", "root": "batch", "epsilon": 0.0}
    loss = masked_imitation(student, teacher, temperature=0.5, **options)
    assert agrees(loss, golden["l2_both_sumfirst"], tolerance)
    assert not agrees(loss, golden["l2_both"], 0.1)
    wrong = masked_imitation(student, teacher, temperature=0.5, **options | {"root": "pair"})
    assert not agrees(wrong, golden["l2_both_sumfirst"], 0.1)
