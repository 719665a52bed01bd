"""Answers as a table, as JSON and as CSV."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasd.predict.answer import Answer
from tasd.predict.recognizer import FewShotRecognizer
from tasd.predict.windows import stretches

# What writes answers as they come: one in, its lines out.
Lines = Callable[[Answer], str]

# Classes whose shares stand in the table, the likeliest first.
SHOWN = 3


def table(classes: Sequence[str], answers: Sequence[Answer]) -> list[str]:
    """A line for each answer: the clip, its class, the shares of the likeliest classes."""
    names = [str(answer.video) for answer in answers]
    labels = [answer.label or "not read" for answer in answers]
    wide = max(map(len, [*names, "clip"]))
    broad = max(map(len, [*labels, "class"]))
    lines = [f"{'clip':<{wide}}  {'class':<{broad}}  share of each class"]
    for name, label, answer in zip(names, labels, answers, strict=True):
        lines.append(f"{name:<{wide}}  {label:<{broad}}  {_rest(answer, len(classes))}")
    return lines


def stretch_lines(answers: Sequence[Answer]) -> list[str]:
    """For each video looked at through windows, a line for each stretch with one label."""
    by_video: dict[Path, list[Answer]] = {}
    for answer in answers:
        by_video.setdefault(answer.video, []).append(answer)
    lines = []
    for video, told in by_video.items():
        lines.append(f"{video}{''.join(f'  {answer.problem}' for answer in told)}")
        for part in stretches(told):
            lines.append(f"  {part.start:8.1f} - {part.end:8.1f} s  {part.label}")
    return lines


def as_document(
    recognizer: FewShotRecognizer, answers: Sequence[Answer], *, seconds: float
) -> dict[str, Any]:
    """All that was asked and answered, as plain data."""
    trained, threshold = recognizer.trained, recognizer.threshold_
    return {
        "format": "tasd-predictions",
        "version": 1,
        "model": {
            "path": str(trained.path),
            "checkpoint": trained.identity,
            "network": trained.network,
            "matcher": trained.config.matcher.name,
            "precision": trained.model.precision,
        },
        "classes": list(recognizer.classes_),
        "support": {name: list(map(str, c)) for name, c in recognizer.support_.items()},
        "left_out": recognizer.problems_,
        "threshold": None if threshold is None else asdict(threshold),
        "seconds": round(seconds, 3),
        "answers": [answer_document(answer) for answer in answers],
    }


def answer_document(answer: Answer) -> dict[str, Any]:
    """One answer as plain data."""
    document: dict[str, Any] = {"video": str(answer.video), "class": answer.label}
    if answer.span is not None:
        document |= {"start": answer.span[0], "end": answer.span[1]}
    if answer.scores:
        document |= {"scores": dict(answer.scores), "probabilities": answer.probabilities}
    if not answer.accepted:
        document["best"] = answer.best
    if answer.problem or answer.note:
        document["problem" if answer.problem else "note"] = answer.problem or answer.note
    return document


def json_line(answer: Answer) -> str:
    """One answer as a line of JSON."""
    return json.dumps(answer_document(answer)) + "\n"


def plain_line(answer: Answer) -> str:
    """One answer as a line to read."""
    return f"{answer.video}: {answer.label or 'not read'}  {_rest(answer, len(answer.scores))}\n"


class CsvLines:
    """Answers as lines of one CSV file, each with its end; the first brings the head along."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self._head: list[object] = ["video", "start", "end", "class", "problem"]
        self._head += [f"score {name}" for name in classes]
        self._begun = False

    def __call__(self, answer: Answer) -> str:
        """The lines of one answer."""
        start, end = answer.span or ("", "")
        row: list[object] = [str(answer.video), start, end, answer.label or "", answer.problem]
        row += [answer.scores.get(name, "") for name in self.classes]
        rows = [row] if self._begun else [self._head, row]
        self._begun = True
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()


def _rest(answer: Answer, classes: int) -> str:
    if answer.problem:
        return answer.problem
    shares = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares[:SHOWN])
    more = f", {classes - SHOWN} more" if classes > SHOWN else ""
    return told + more + (f" ({answer.note})" if answer.note else "")
