"""Slow twins of the paper's equations in plain loops, and the comparison of two results."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Map = list[list[list[list[float]]]]
"""One video's A, indexed by channel, frame, row and column."""


def agrees(actual: Tensor, expected: Tensor | float | Sequence, tolerance: float = 1e-10) -> bool:
    """True where shapes are equal, all is finite and differences are within the tolerance."""
    expected = torch.as_tensor(expected, dtype=torch.float64)
    if actual.shape != expected.shape or not actual.isfinite().all():
        return False
    return bool((actual.double() - expected).abs().max() <= tolerance)


def random_maps(seed: int, *, pairs: int = 2) -> Tensor:
    """Draw maps whose sizes all differ, so that a wrong axis shows: 3 channels, 4 frames, 5 x 2."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(pairs, 3, 4, 5, 2, generator=generator, dtype=torch.float64)


def sizes(a: Map) -> tuple[int, int, int, int]:
    return len(a), len(a[0]), len(a[0][0]), len(a[0][0][0])


def channel(a: Map) -> list[float]:
    """Eq. 3."""
    channels, time, height, width = sizes(a)
    result = []
    for c in range(channels):
        total = 0.0
        for t in range(time):
            for h in range(height):
                for w in range(width):
                    total += abs(a[c][t][h][w])
        result.append(total / (time * height * width))
    return result


def spatial(a: Map) -> list[list[float]]:
    """Eq. 4."""
    channels, time, height, width = sizes(a)
    result = [[0.0] * width for _ in range(height)]
    for h in range(height):
        for w in range(width):
            for c in range(channels):
                for t in range(time):
                    result[h][w] += abs(a[c][t][h][w])
            result[h][w] /= channels * time
    return result


def temporal(a: Map) -> list[float]:
    """Eq. 5."""
    channels, time, height, width = sizes(a)
    result = []
    for t in range(time):
        total = 0.0
        for c in range(channels):
            for h in range(height):
                for w in range(width):
                    total += abs(a[c][t][h][w])
        result.append(total / (channels * height * width))
    return result


def flat(values: Sequence) -> list[float]:
    if not isinstance(values[0], list):
        return list(values)
    return [value for row in values for value in flat(row)]


def mask(
    attention: Callable[[Map], Sequence], student: Map, teacher: Map, temperature: float
) -> list[float]:
    """Eqs 6, 7 and 8, flat: length x softmax of (G(student) + G(teacher)) / temperature."""
    both = zip(flat(attention(student)), flat(attention(teacher)), strict=True)
    exponentials = [math.exp((s + t) / temperature) for s, t in both]
    return [len(exponentials) * e / sum(exponentials) for e in exponentials]


def transfer_squares(student: Map, teacher: Map) -> list[tuple[float, int]]:
    """Eq. 9: for each of the three attentions, its sum of squared differences and its length."""
    result = []
    for attention in (spatial, channel, temporal):
        pairs = list(zip(flat(attention(student)), flat(attention(teacher)), strict=True))
        result.append((sum((s - t) ** 2 for s, t in pairs), len(pairs)))
    return result


def imitation_squares(student: Map, teacher: Map, temperature: float) -> float:
    """Eq. 10 before its root: the sum of squared differences under the three masks."""
    channels, time, height, width = sizes(student)
    space = mask(spatial, student, teacher, temperature)
    times = mask(temporal, student, teacher, temperature)
    channel_weights = mask(channel, student, teacher, temperature)
    total = 0.0
    for c in range(channels):
        for t in range(time):
            for h in range(height):
                for w in range(width):
                    weight = space[h * width + w] * channel_weights[c] * times[t]
                    total += (teacher[c][t][h][w] - student[c][t][h][w]) ** 2 * weight
    return total


def norm(squares: Sequence[float], elements: int, *, form: str, root: str) -> float:
    """Compute the norm in each of its four forms, with epsilon on the per-element mean."""
    epsilon = 1e-6
    if root == "batch":
        squares, elements = [sum(squares)], elements * len(squares)
    roots = []
    for total in squares:
        mean = math.sqrt(total / elements + epsilon)
        roots.append(mean if form == "mean" else mean * math.sqrt(elements))
    return sum(roots) / len(roots)
