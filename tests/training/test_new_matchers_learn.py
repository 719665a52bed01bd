"""Training on made maps lifts a matcher above its untrained self, on classes it has not seen.

A class is a walk through four channels; the twelve others hold a vector of each video that says
nothing. It is as loud. SloshNet finds the class in an earlier stage alone: the last one is noise.
"""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.matchers import Matcher, build
from tasd.types import Task

WAY, QUERIES, FRAMES, SIGNAL, CHANNELS = 5, 2, 4, 4, 16


def made_maps(walks: Tensor, channels: int, size: int, generator: torch.Generator) -> Tensor:
    """Maps of videos (videos, channels, time, size, size) from walks (videos, time, signal)."""
    videos = len(walks)
    maps = 0.3 * torch.randn(videos, channels, FRAMES, size, size, generator=generator)
    maps[:, :SIGNAL] += walks.mT[..., None, None]
    nuisance = torch.randn(videos, channels - SIGNAL, 1, 1, 1, generator=generator)
    maps[:, SIGNAL:] += nuisance
    return maps


def episode(generator: torch.Generator) -> Task:
    """Draw an episode of new classes."""
    labels = torch.cat([torch.arange(WAY), torch.arange(WAY).repeat_interleave(QUERIES)])
    walks = torch.randn(WAY, FRAMES, SIGNAL, generator=generator)[labels]
    earlier = made_maps(walks, CHANNELS // 2, 6, generator)
    last = made_maps(walks, CHANNELS, 3, generator)
    frames = last.mean(dim=(3, 4)).mT
    return Task(
        WAY,
        frames[None, :WAY],
        frames[None, WAY:],
        labels[None, :WAY],
        support_maps=last[None, :WAY],
        query_maps=last[None, WAY:],
        support_levels=(earlier[None, :WAY], torch.zeros_like(last)[None, :WAY]),
        query_levels=(earlier[None, WAY:], torch.zeros_like(last)[None, WAY:]),
        query_labels=labels[None, WAY:],
    )


@torch.no_grad()
def accuracy(matcher: Matcher, seed: int) -> float:
    generator, hits = torch.Generator().manual_seed(1000 + seed), []
    for _ in range(40):
        task = episode(generator)
        hits.append(matcher.eval()(task).logits.argmax(dim=2) == task.query_labels)
    return float(torch.stack(hits).float().mean())


def trained(matcher: Matcher, seed: int, *, steps: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(matcher.parameters(), lr=3e-3)
    for _ in range(steps):
        task = episode(generator)
        scores = matcher.train()(task)
        assert task.query_labels is not None
        metric = functional.cross_entropy(scores.logits.flatten(0, 1), task.query_labels.flatten())
        terms = list(scores.losses.values()) or [metric]
        optimiser.zero_grad()
        torch.stack(terms).sum().backward()
        optimiser.step()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [
        ("hcl", {"width": 24, "heads": 2}, 150),
        ("sloshnet", {"width": 24, "level_channels": (CHANNELS // 2, CHANNELS)}, 30),
    ],
)
def test_training_lifts_a_matcher_above_its_untrained_self(name, options, steps, seed):
    torch.manual_seed(seed)
    matcher = build(name, CHANNELS, frames=FRAMES, **options)
    before = accuracy(matcher, seed)
    trained(matcher, seed, steps=steps)
    after = accuracy(matcher, seed)
    print(f"{name} {seed}: {before:.1%} before, {after:.1%} after")
    assert after > before + 0.1
