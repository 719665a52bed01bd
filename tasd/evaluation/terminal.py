"""Results as text for the terminal."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tasd.evaluation.evaluate import Evaluated, Floor, compare
from tasd.evaluation.metrics import Interval, Paired
from tasd.evaluation.metrics import over_seeds as mean_over_seeds
from tasd.evaluation.summary import Summary
from tasd.progress import counted
from tasd.runs.plain import PLAIN

HEADER = ("", "accuracy", "95 % interval:", "with other", "with other videos")
SHOWN = 5  # names of classes in a line
SECOND = ("", "", "episodes only", "classes", "of these classes")


def table(result: Evaluated) -> list[str]:
    """Return the lines of a result: the test, a row for each network, and remarks."""
    split, episodes = result.content["provenance"]["split"], result.episodes
    seed = "from a file" if episodes.seed is None else f"seed {episodes.seed}"
    rows: list[tuple[str, ...]] = [HEADER, SECOND]
    for name, summary in result.summaries.items():
        mark = " *" if name == result.candidate.chosen and len(result.summaries) > 1 else ""
        rows.append(_row(name + mark, summary))
    if result.floor is not None:
        mark = " (floor)" if result.other_start is not None else ""
        rows.append(_row(_plain(result.floor, result) + mark, result.floor.summary))
    if result.other_start is not None:
        rows.append(_row(_plain(result.other_start, result), result.other_start.summary))
    variant = result.candidate.variant
    lines = [
        f"{result.candidate.name}, {result.content['provenance']['matcher']}",
        f"{split['name']}: {counted(split['classes'], 'class')}, "
        f"{counted(split['videos'], 'video')}; "
        f"{counted(len(episodes), 'episode')}, {episodes.shape_text()}, {seed}",
        *_aligned(rows),
    ]
    if len(result.summaries) > 1:
        stands = "" if variant else ", so it stands for the run"
        lines.append(f"* better on the validation classes{stands}")
    lines += _against_floor(result)
    if variant:
        lines.append(f"{variant}: not the run as it was trained, so tasd report leaves it out")
    return lines + _remarks(result)


def compared(first: Evaluated, second: Evaluated) -> list[str]:
    """Return the lines of a comparison, second minus first."""
    names = f"{second.candidate.name} minus {first.candidate.name}"
    return _difference(names, compare(first, second))


def over_seeds(every: list[list[Evaluated]]) -> list[str]:
    """Return the means over seeds, a line for each network of each candidate and its floor."""
    lines = []
    for position, first in enumerate(every[0]):
        results = [each[position] for each in every]
        rows = {name: [r.summaries[name].accuracy for r in results] for name in first.summaries}
        if first.floor is not None:
            plain = [r.floor.summary.accuracy for r in results if r.floor is not None]
            rows[_plain(first.floor, first)] = plain
        if first.other_start is not None:
            other = [r.other_start.summary.accuracy for r in results if r.other_start is not None]
            rows[_plain(first.other_start, first)] = other
        for name, accuracies in rows.items():
            mean = mean_over_seeds(np.array(accuracies))
            lines.append(
                f"{first.candidate.name} {name}, mean over {counted(len(results), 'seed')}: "
                f"{mean.mean:.2%} ({_ends(mean)}; the videos are the same in all)"
            )
    return lines


def _row(name: str, summary: Summary) -> tuple[str, ...]:
    intervals = (summary.over_episodes, summary.over_classes, summary.over_videos)
    return (name, f"{summary.accuracy:.2%}", *map(_ends, intervals))


def _plain(floor: Floor, result: Evaluated) -> str:
    """Return the name of a floor, with its matcher where that is not the run's."""
    matcher = floor.candidate.origin["matcher"]
    own = result.candidate.origin["matcher"] == matcher
    if floor.candidate.origin.get("start") == "untrained":
        return floor.candidate.name
    return f"plain {floor.candidate.name}" + ("" if own else f", {matcher}")


def _against_floor(result: Evaluated) -> list[str]:
    if result.floor is not None:
        names = f"{result.candidate.name} minus {_plain(result.floor, result)}"
        return _difference(names, result.floor.gain)
    why = result.candidate.no_floor
    return [f"no floor: {why}"] if why else []


def _difference(names: str, paired: Paired) -> list[str]:
    gain = paired.difference
    return [
        f"{names}, same episodes: {100 * gain.mean:+.2f} points, 95 % interval "
        f"{100 * gain.low:+.2f} to {100 * gain.high:+.2f} (sampling of episodes only)",
        f"better in {counted(paired.better, 'episode')}, worse in {paired.worse:,}, equal in "
        f"{paired.equal:,}; sign test p = {paired.p_value:.2g}",
    ]


def _remarks(result: Evaluated) -> list[str]:
    """Return the remarks on training that limit what the numbers mean."""
    origin = result.content["provenance"]
    lines = _across(origin)
    if result.candidate.chosen == PLAIN:
        lines.append(
            "plain is the run's backbone without encoder: on the validation classes nothing that "
            "was trained has beaten it, so predict and export take it too"
        )
    if seen := origin["trained_and_tested"]:
        lines.append(f"NOT few-shot: the network was trained on {len(seen)} of these classes")
    if origin["transductive"]:
        lines.append(
            "transductive: the queries of an episode see each other; not to be compared with "
            "results of queries that are scored alone"
        )
    if "backbone" in origin:
        lines.append(f"no training: the backbone alone, weights {origin['weights']}")
    config = origin.get("config", {})
    if "validation_way" in origin:
        lines.append(
            f"validation, which chose the checkpoint, was {origin['validation_way']}-way and "
            f"training {config['episode']['way']}-way"
        )
    if config.get("data", {}).get("features") is not None:
        lines.append("trained on cached features of a frozen backbone, Eqs 3 to 11 left out")
    network = config.get("network", {})
    named = network.get("weights") == "kinetics400" and origin["dataset"] == "kinetics"
    if named or origin.get("pretrained_on_tested"):
        lines.append(
            "NOT few-shot: the pretrained weights were trained on these classes (Kinetics-400)"
        )
    return lines


def _across(origin: Mapping[str, Any]) -> list[str]:
    """Return the line on a test of another store than that of training; none for the same."""
    trained_on = origin.get("trained_on_store")
    if trained_on is None or trained_on == origin["store_sha256"]:
        return []
    seen, split = origin["trained_and_tested"], origin["split"]
    named = ", ".join(seen[:SHOWN]) + (" ..." if len(seen) > SHOWN else "")
    shared = f"{len(seen)} of the" if seen else "none of the"
    return [
        f"trained on another store ({origin['config']['dataset']} {trained_on[:12]}), tested on "
        f"{origin['store']['name']} ({origin['dataset']} {origin['store_sha256'][:12]}): {shared} "
        f"{counted(split['classes'], 'class')} under test "
        f"{'are' if len(seen) > 1 or not seen else 'is'} among the "
        f"{counted(origin['training_classes'], 'training class')}, by names in any spelling"
        + (f": {named}" if seen else "")
    ]


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
