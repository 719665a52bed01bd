import numpy as np
import pytest
import torch
from loss_oracles import agrees, norm

from tasd.losses.relation import AdaptiveConvolution, GloRe, relation_distillation, relation_share

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 4e-4)], ids=str
)


def random_frames(seed):
    """2 frames of 6 channels, 3 x 2 pixels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 6, 3, 2, generator=generator, dtype=torch.float64)


def unit(**options):
    """Build a small unit in eval mode with random weights and statistics."""
    glore = GloRe(6, states=4, nodes=5, **options).double().eval()
    generator = torch.Generator().manual_seed(30)
    for tensor in [*glore.parameters(), glore.norm.running_mean, glore.norm.running_var]:
        tensor.data.uniform_(0.1, 0.9, generator=generator)
        if tensor is not glore.norm.running_var:
            tensor.data.sub_(0.5)
    return glore


def layer(linear, vector):
    """A linear layer (a 1x1 convolution of one pixel) by loops."""
    biases = [0.0] * len(linear.weight) if linear.bias is None else linear.bias.tolist()
    rows = zip(linear.weight.tolist(), biases, strict=True)
    return [sum(w * x for w, x in zip(row, vector, strict=True)) + bias for row, bias in rows]


def glore_by_loops(glore, frame, *, fixed=None):
    """Run one frame (channels, positions) through the unit of section 3.3 and Chen et al."""
    positions = len(frame[0])
    pixels = [[channel[p] for channel in frame] for p in range(positions)]
    states = [layer(glore.state, pixel) for pixel in pixels]
    belongs = fixed or [layer(glore.assignment, pixel) for pixel in pixels]
    count, nodes = len(states[0]), len(belongs[0])
    graph = [[0.0] * nodes for _ in range(count)]
    for s in range(count):
        for n in range(nodes):
            for p in range(positions):
                graph[s][n] += states[p][s] * belongs[p][n] / positions
    for s in range(count):
        mixed = layer(glore.between_nodes, graph[s])
        graph[s] = [max(0.0, m + g) for m, g in zip(mixed, graph[s], strict=True)]
    columns = [layer(glore.between_states, [row[n] for row in graph]) for n in range(nodes)]
    result = [[0.0] * positions for _ in frame]
    for p in range(positions):
        back = [sum(belongs[p][n] * columns[n][s] for n in range(nodes)) for s in range(count)]
        for c, value in enumerate(layer(glore.extend, back)):
            bn = glore.norm
            scale = bn.weight[c].item() / (bn.running_var[c].item() + 1e-4) ** 0.5
            change = (value - bn.running_mean[c].item()) * scale + bn.bias[c].item()
            result[c][p] = frame[c][p] + change
    return result


def by_loops(glore, frames, **options):
    results = [glore_by_loops(glore, frame, **options) for frame in frames.flatten(2).tolist()]
    return torch.tensor(results, dtype=torch.float64).view_as(frames)


def test_the_unit_is_that_of_the_loops():
    glore, frames = unit(), random_frames(31)
    assert agrees(glore(frames), by_loops(glore, frames))


def test_the_fixed_projection_is_that_of_the_loops():
    glore, frames = unit(projection="fixed", positions=6), random_frames(31)
    expected = by_loops(glore, frames, fixed=glore.assignment.matrix.tolist())
    assert agrees(glore(frames), expected)
    assert "assignment.matrix" in dict(glore.named_parameters())


def test_the_fixed_projection_starts_within_the_bounds_of_a_linear_layer():
    matrix = GloRe(6, projection="fixed", positions=49).assignment.matrix
    assert matrix.shape == (49, 32)
    assert -1 / 7 <= matrix.min() < -0.1
    assert 0.1 < matrix.max() <= 1 / 7


def twin(
    glore, frames, *, normalise=True, residual=True, graph_residual=True, epsilon=1e-4, swap=False
):
    """The unit again in few words, with room for a mistake."""
    flat = frames.flatten(2)
    states, belongs = glore.state(flat.mT).mT, glore.assignment(flat.mT).mT
    if swap:
        belongs = belongs.softmax(1)
    graph = states @ belongs.mT / (flat.shape[2] if normalise else 1)
    graph = (glore.between_nodes(graph) + (graph if graph_residual else 0)).relu()
    graph = glore.between_states(graph.mT).mT
    change = glore.extend((graph @ belongs).mT).mT
    bn = glore.norm
    scale = bn.weight / (bn.running_var + epsilon).sqrt()
    change = (change - bn.running_mean[:, None]) * scale[:, None] + bn.bias[:, None]
    return (flat * residual + change).view_as(frames)


def test_the_twin_without_a_mistake_agrees():
    glore, frames = unit(), random_frames(31)
    assert agrees(twin(glore, frames), by_loops(glore, frames))


@pytest.mark.parametrize(
    "mistake",
    [
        {"normalise": False},
        {"residual": False},
        {"graph_residual": False},
        {"epsilon": 1e-5},
        {"swap": True},
    ],
    ids=str,
)
def test_a_mistaken_unit_is_told_apart(mistake):
    glore, frames = unit(), random_frames(31)
    assert not agrees(twin(glore, frames, **mistake), by_loops(glore, frames))


def test_options_of_the_projection_that_contradict_are_refused():
    with pytest.raises(AssertionError, match="needs the number of positions"):
        GloRe(6, projection="fixed")
    with pytest.raises(AssertionError, match="only a fixed projection"):
        GloRe(6, positions=49)
    with pytest.raises(AssertionError, match="not the matrix's"):
        unit(projection="fixed", positions=9)(random_frames(31))


def test_the_unit_starts_with_a_live_batch_norm_of_weight_one():
    glore = GloRe(6)
    assert glore.norm.weight.eq(1).all()
    assert glore.norm.eps == 1e-4
    assert (glore.state.out_features, glore.between_nodes.in_features) == (256, 32)
    frames = random_frames(31).float()
    change = glore(frames) - frames
    assert agrees(change.mean((0, 2, 3)), torch.zeros(6), 1e-5)
    assert agrees(change.var((0, 2, 3), unbiased=False), torch.ones(6), 0.2)
    assert glore.norm.running_mean.abs().sum() > 0


def test_the_gradient_of_the_unit_is_that_of_finite_differences():
    for glore in (unit(), unit(projection="fixed", positions=6)):
        frames = random_frames(32).requires_grad_()
        assert torch.autograd.gradcheck(glore, frames)


def test_autocast_changes_neither_unit_nor_adaptive_convolution():
    frames = random_frames(33).float()
    for module in (unit().float(), AdaptiveConvolution(6)):
        plain = module(frames)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(module(frames), plain)
        assert module(frames.bfloat16()).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert unit().float().state(frames.flatten(2).mT).dtype == torch.bfloat16


def test_channels_last_frames_give_the_same_relations():
    glore, frames = unit(), random_frames(34)
    last = frames.to(memory_format=torch.channels_last)
    assert agrees(glore(last), glore(frames).detach())


def test_the_adaptive_convolution_starts_as_the_identity_and_is_a_1x1_convolution():
    frames, adaptive = random_frames(35), AdaptiveConvolution(6).double()
    assert torch.equal(adaptive(frames), frames)
    generator = torch.Generator().manual_seed(36)
    for parameter in adaptive.parameters():
        parameter.data.uniform_(-1, 1, generator=generator)
    weight, bias = adaptive.pointwise.weight, adaptive.pointwise.bias
    convolved = torch.nn.functional.conv2d(frames, weight[..., None, None], bias)
    assert agrees(adaptive(frames), convolved.detach())
    wrong = torch.nn.functional.conv2d(frames, weight.T[..., None, None], bias)
    assert not agrees(adaptive(frames), wrong.detach())


def relation_by_loops(teacher, student, *, form="mean", root="pair"):
    squares = []
    for t, s in zip(teacher.flatten(1).tolist(), student.flatten(1).tolist(), strict=True):
        squares.append(sum((a - b) ** 2 for a, b in zip(t, s, strict=True)))
    return norm(squares, teacher[0].numel(), form=form, root=root)


@pytest.mark.parametrize("root", ["pair", "batch"])
@pytest.mark.parametrize("form", ["mean", "sum"])
def test_relation_distillation_is_that_of_the_loops(form, root):
    teacher, student = random_frames(37), random_frames(38)
    loss = relation_distillation(teacher, student, form=form, root=root)
    assert agrees(loss, relation_by_loops(teacher, student, form=form, root=root))


@pytest.mark.parametrize(
    "mistake",
    {
        "not squared": lambda d: (d.abs().mean((1, 2, 3)) + 1e-6).sqrt().mean(),
        "no root": lambda d: (d.square().mean((1, 2, 3)) + 1e-6).mean(),
        "no epsilon": lambda d: d.square().mean((1, 2, 3)).sqrt().mean(),
        "a root per pixel": lambda d: (d.square().mean(1) + 1e-6).sqrt().mean(),
        "a root for all": lambda d: (d.square().mean() + 1e-6).sqrt(),
        "summed over frames": lambda d: (d.square().mean((1, 2, 3)) + 1e-6).sqrt().sum(),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_mistaken_relation_distillation_is_told_apart(mistake):
    teacher, student = random_frames(37), 2 * random_frames(38)
    expected = relation_by_loops(teacher, student)
    assert agrees(relation_distillation(teacher, student), expected)
    assert not agrees(mistake[1](teacher - student), expected)


def test_an_equal_teacher_gives_every_parameter_a_finite_gradient():
    glore, adaptive, frames = unit(), AdaptiveConvolution(6).double(), random_frames(39)
    teacher = glore(frames)
    relation_distillation(teacher, adaptive(glore(frames))).backward()
    for parameter in [*glore.parameters(), *adaptive.parameters()]:
        assert parameter.grad.abs().max() < 1e-9
    relation_distillation(teacher, adaptive(glore(frames + 0.1))).backward()
    assert all(p.grad.isfinite().all() for p in [*glore.parameters(), *adaptive.parameters()])
    assert adaptive.pointwise.weight.grad.abs().max() > 1e-3


def test_the_relation_share_is_a_ratio_of_norms_and_shows_a_branch_that_died():
    glore, frames = unit(), random_frames(40)
    related = glore(frames)
    pairs = zip(related.flatten().tolist(), frames.flatten().tolist(), strict=True)
    change = sum((r - f) ** 2 for r, f in pairs)
    whole = sum(f**2 for f in frames.flatten().tolist())
    assert agrees(relation_share(related, frames), (change / whole) ** 0.5)
    assert relation_share(frames, frames) == 0
    assert not relation_share(related, frames).requires_grad


@pytest.fixture(scope="module")
def golden(shared):
    arrays = np.load(shared / "golden" / "glore.npz", allow_pickle=False)
    return {
        name: torch.from_numpy(array.astype(np.float64))
        for name, array in arrays.items()
        if array.dtype.kind == "f"
    }


def golden_unit(golden, prefix, dtype):
    glore = GloRe(32, states=12, nodes=6)
    names = {
        "state": "conv_state",
        "assignment": "conv_proj",
        "between_nodes": "gcn.conv1",
        "between_states": "gcn.conv2",
        "extend": "conv_extend",
        "norm": "blocker",
    }
    state = glore.state_dict()
    for name, own in state.items():
        module, kind = name.split(".")
        if kind != "num_batches_tracked":
            state[name] = golden[f"{prefix}/{names[module]}.{kind}"].reshape(own.shape)
    glore.load_state_dict(state)
    return glore.to(dtype).eval()


@PRECISIONS
def test_the_unit_agrees_with_the_published_code(golden, dtype, tolerance):
    glore, frames = golden_unit(golden, "w", dtype), golden["x"].to(dtype)
    assert agrees(glore(frames), golden["y_norm"], tolerance)
    reasoned = glore.reason(golden["graph_in_norm"].to(dtype))
    assert agrees(reasoned, golden["graph_out_norm"], tolerance)
    assert not agrees(glore(frames), golden["y_plain"], 1e-2)
    assert agrees(glore.train()(frames), golden["y_trainbn_norm"], tolerance)


@PRECISIONS
def test_the_unit_agrees_with_the_published_code_in_one_dimension(golden, dtype, tolerance):
    glore, line = golden_unit(golden, "w1d", dtype), golden["x1d"].to(dtype)
    assert agrees(glore(line.unsqueeze(3)).squeeze(3), golden["y1d_norm"], tolerance)
    glore.norm.eps = 1e-5
    if dtype == torch.float64:
        assert not agrees(glore(line.unsqueeze(3)).squeeze(3), golden["y1d_norm"], tolerance)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 5e-5)], ids=str
)
def test_relation_distillation_agrees_with_the_published_detection_code(shared, dtype, tolerance):
    arrays = np.load(shared / "golden" / "fbkd.npz", allow_pickle=False)
    options = {"form": "sum", "root": "batch", "epsilon": 0.0}
    for names, value in (
        (("t_relation", "s_relation_adapt"), "loss_part_nonlocal"),
        (("teacher", "student"), "l2_no_mask"),
    ):
        maps = [torch.from_numpy(arrays[name]).to(dtype) for name in names]
        assert agrees(relation_distillation(*maps, **options), float(arrays[value]), tolerance)
        wrong = relation_distillation(*maps, **options | {"root": "pair"})
        assert not agrees(wrong, float(arrays[value]), 0.1)
