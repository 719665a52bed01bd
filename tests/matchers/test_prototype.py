from pathlib import Path

import torch

from tasd.matchers import build
from tests.matchers.golden import Golden


def test_every_golden_array_of_mean_pooling_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "meanpool", dtype)
    cosine, squared = build("prototype", 32), build("prototype", 32, metric="squared_l2")
    ours = {}
    for which in ("k1", "kn"):
        task = golden.task(which)
        ours[f"logits_cos_{which}"] = cosine(task).logits[0]
        ours[f"logits_l2sq_{which}"] = squared(task).logits[0]
    golden.assert_all_match(ours)


def test_temperature_divides_the_scores(shared: Path):
    task = Golden(shared, "meanpool", torch.float64).task("kn")
    for metric in ("cosine", "squared_l2"):
        plain = build("prototype", 32, metric=metric)(task).logits
        sharper = build("prototype", 32, metric=metric, temperature=0.1)(task).logits
        torch.testing.assert_close(sharper, 10 * plain)
