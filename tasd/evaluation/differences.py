"""The settings and the results in which two runs differ."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tasd.errors import UserError
from tasd.evaluation.metrics import paired_difference
from tasd.evaluation.results import read_document
from tasd.foreign import remark
from tasd.progress import counted
from tasd.runs.changes import changes
from tasd.runs.checkpoint import peek
from tasd.runs.folder import Run


def differences(first: Run, second: Run) -> list[str]:
    """Return the lines of a comparison of two runs, second beside first. Raises `UserError`."""
    lines = [f"A  {first.path}", f"B  {second.path}"]
    different = list(changes(first.config(), second.config()))
    lines.append(f"{counted(len(different), 'setting')} differ:" if different else "equal settings")
    if len(different) == 1:
        lines[-1] = "1 setting differs:"
    rows = [(change.setting, _shown(change.before), _shown(change.after)) for change in different]
    lines += _aligned([("", "A", "B"), *rows]) if rows else []
    lines += _aligned([("", "A", "B"), *_validation(first, second)])
    return lines + list(_results(first, second))


def accuracies(path: Path) -> str:
    """Return the accuracies of a result or a comparison; the reason where it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        networks = content.get("networks", {})
        return ", ".join(f"{name} {result['accuracy']:.2%}" for name, result in networks.items())
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return "cannot be read: damaged"


def _validation(first: Run, second: Run) -> Iterator[tuple[str, str, str]]:
    """Yield rows on what both logs hold: episodes done, and the best validation."""
    logs = [run.read_metrics() for run in (first, second)]
    done = [max((line["episode"] for line in log), default=0) for log in logs]
    yield "episodes done", f"{done[0]:,}", f"{done[1]:,}"
    yield "best validation", _best(first), _best(second)


def _best(run: Run) -> str:
    """Return the validation by which best.pt was chosen; none where there is no such file."""
    if not run.best.exists():
        return "none"
    best = peek(run.best).progress.best
    if best.accuracy < 0:
        return "not validated"
    return f"{best.accuracy:.1%} ({best.network}, episode {best.episode:,})"


def _results(first: Run, second: Run) -> Iterator[str]:
    """Yield a line for each test that both were put to, on the same episodes."""
    one, other = _by_episodes(first), _by_episodes(second)
    shared = [key for key in one if key in other]
    for key in shared:
        name, a = one[key]
        b = other[key][1]
        gain = paired_difference(_accuracy(a), _accuracy(b)).difference
        yield (
            f"{name}: A {_accuracy(a).mean():.2%}, B {_accuracy(b).mean():.2%}; B minus A "
            f"{100 * gain.mean:+.2f} points, 95 % interval {100 * gain.low:+.2f} to "
            f"{100 * gain.high:+.2f} (sampling of episodes only)"
        )
    if not shared:
        have = f"A has {counted(len(one), 'result')} and B {counted(len(other), 'result')}"
        yield (
            f"no test of both on the same episodes ({have}); tasd evaluate --compare {first.path} "
            f"{second.path} makes one"
        )


def _by_episodes(run: Run) -> dict[tuple[str, str], tuple[str, Mapping[str, Any]]]:
    """Return name and content of the newest result of each set of episodes and each variant."""
    found: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
    paths = [path for path in run.evaluation.glob("*.json") if "-against-" not in path.name]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime):
        try:
            content = read_document(path)
        except UserError as error:
            remark(str(error))
            continue
        key = (content["episodes"]["sha256"], str(content["provenance"].get("variant", "")))
        found[key] = (path.stem.rpartition("-")[0], content)
    return found


def _accuracy(content: Mapping[str, Any]) -> Float[np.ndarray, " episodes"]:
    shape = content["episodes"]
    right = np.array(content["networks"][content["chosen"]]["correct"], np.float64)
    return np.asarray(right / (shape["way"] * shape["queries"]))


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
