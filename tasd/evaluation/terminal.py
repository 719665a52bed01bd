"""Results as text for the terminal."""

import math

import numpy as np

from tasd.evaluation.evaluate import Evaluated, compare
from tasd.evaluation.metrics import Interval
from tasd.evaluation.metrics import over_seeds as mean_over_seeds

HEADER = ("", "accuracy", "95 % interval:", "with other", "with other videos")
SECOND = ("", "", "episodes only", "classes", "of these classes")


def table(result: Evaluated) -> list[str]:
    """Return the lines of a result: the test, a row for each network, and remarks."""
    split, episodes = result.content["provenance"]["split"], result.episodes
    seed = "from a file" if episodes.seed is None else f"seed {episodes.seed}"
    rows: list[tuple[str, ...]] = [HEADER, SECOND]
    for name, summary in result.summaries.items():
        mark = " *" if name == result.candidate.chosen and len(result.summaries) > 1 else ""
        intervals = (summary.over_episodes, summary.over_classes, summary.over_videos)
        rows.append((name + mark, f"{summary.accuracy:.2%}", *map(_ends, intervals)))
    variant = result.candidate.variant
    lines = [
        f"{result.candidate.name}, {result.content['provenance']['matcher']}",
        f"{split['name']}: {split['classes']} classes, {split['videos']:,} videos; "
        f"{len(episodes):,} episodes, {episodes.shape_text()}, {seed}",
        *_aligned(rows),
    ]
    if len(result.summaries) > 1:
        stands = "" if variant else ", so it stands for the run"
        lines.append(f"* better on the validation classes{stands}")
    if variant:
        lines.append(f"{variant}: not the run as it was trained, so tasd report leaves it out")
    return lines + _remarks(result)


def compared(first: Evaluated, second: Evaluated) -> list[str]:
    """Return the lines of a comparison, second minus first."""
    paired = compare(first, second)
    gain = paired.difference
    return [
        f"{second.candidate.name} minus {first.candidate.name}, same episodes: "
        f"{100 * gain.mean:+.2f} points, 95 % interval {100 * gain.low:+.2f} to "
        f"{100 * gain.high:+.2f} (sampling of episodes only)",
        f"better in {paired.better:,} episodes, worse in {paired.worse:,}, equal in "
        f"{paired.equal:,}; sign test p = {paired.p_value:.2g}",
    ]


def over_seeds(every: list[list[Evaluated]]) -> list[str]:
    """Return the means over seeds, a line for each network of each candidate."""
    lines = []
    for position, first in enumerate(every[0]):
        for name in first.summaries:
            values = np.array([results[position].summaries[name].accuracy for results in every])
            mean = mean_over_seeds(values)
            lines.append(
                f"{first.candidate.name} {name}, mean over {len(values)} seeds: {mean.mean:.2%} "
                f"({_ends(mean)}; the videos are the same in all)"
            )
    return lines


def _remarks(result: Evaluated) -> list[str]:
    """Return the remarks on training that limit what the numbers mean."""
    origin, lines = result.content["provenance"], []
    if seen := origin["trained_and_tested"]:
        lines.append(f"NOT few-shot: the network was trained on {len(seen)} of these classes")
    if "backbone" in origin:
        lines.append(f"no training: the backbone alone, weights {origin['weights']}")
    config = origin.get("config", {})
    if config.get("data", {}).get("features") is not None:
        lines.append("trained on cached features of a frozen backbone, Eqs 3 to 11 left out")
    network = config.get("network", {})
    named = network.get("weights") == "kinetics400" and origin["dataset"] == "kinetics"
    if named or origin.get("pretrained_on_tested"):
        lines.append(
            "NOT few-shot: the pretrained weights were trained on these classes (Kinetics-400)"
        )
    return lines


def _ends(interval: Interval) -> str:
    if math.isnan(interval.low):
        return "unknown"
    return f"{100 * interval.low:.2f} - {100 * interval.high:.2f}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
