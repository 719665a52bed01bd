from pathlib import Path

import pytest
import torch

from tasd.matchers import build
from tasd.matchers.trx import linear_of_tuples
from tasd.matchers.trx_tuples import frames_packed, packed_size
from tests.matchers.golden import Golden


def names(module: int, ours: str) -> dict[str, str]:
    """Map published names to ours, for one cardinality."""
    theirs = f"transformers.{module}"
    return {
        f"{theirs}.k_linear": f"{ours}.key",
        f"{theirs}.v_linear": f"{ours}.value",
        f"{theirs}.norm_k": f"{ours}.norm_key",
    }


# Cardinalities -> the published modules that they belong to.
RUNS = {(2,): (0,), (3,): (1,), (2, 3): (0, 1)}


def test_every_golden_array_of_trx_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "trx", dtype)
    ours = {}
    for cardinalities, modules in RUNS.items():
        matcher = build("trx", 32, cardinalities=cardinalities, width=24).to(dtype).eval()
        renamed = {}
        for place, module in enumerate(modules):
            renamed |= names(module, f"attentions.{place}")
        matcher.load_state_dict(golden.weights(renamed))
        run = "".join(map(str, cardinalities))
        for which in ("k1", "kn"):
            ours[f"logits_{run}_{which}"] = matcher(golden.task(which)).logits
    golden.assert_all_match(ours)


def test_a_linear_layer_of_tuples_is_that_of_their_concatenated_frames():
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(2, 5, 3, generator=generator)
    linear = torch.nn.Linear(9, 4)
    tuples = torch.tensor([[0, 1, 2], [0, 1, 4], [2, 3, 4]])
    joined = frames[:, tuples].flatten(2)
    torch.testing.assert_close(linear_of_tuples(linear, frames, tuples), linear(joined))


@pytest.mark.parametrize("cardinalities", [(2,), (3,), (2, 3), (1, 4), (3, 2)])
def test_the_length_of_a_prepared_video_tells_its_frames(cardinalities: tuple[int, ...]):
    for frames in range(max(cardinalities), 12):
        size = sum(packed_size(frames, each, width=7) for each in cardinalities)
        assert frames_packed(size, cardinalities, width=7) == frames
