"""Answers as text for people, as JSON and as CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasd.files import as_json
from tasd.foreign import cell, clean
from tasd.predict.answer import Answer
from tasd.predict.labeller import Labeller
from tasd.predict.windows import segments

# From an answer to its lines of text, for output that is written answer by answer.
AnswerFormat = Callable[[Answer], str]

LIKELIEST = 3  # classes whose shares are printed


def table_lines(classes: Sequence[str], answers: Sequence[Answer]) -> list[str]:
    """Return a line for each answer: clip, class and the shares of the likeliest classes."""
    names = [clean(answer.video) for answer in answers]
    labels = [clean(answer.label or "not read") for answer in answers]
    name_width = max(map(len, [*names, "clip"]))
    label_width = max(map(len, [*labels, "class"]))
    lines = [f"{'clip':<{name_width}}  {'class':<{label_width}}  share of each class"]
    for name, label, answer in zip(names, labels, answers, strict=True):
        shares = _shares(answer, len(classes))
        lines.append(f"{name:<{name_width}}  {label:<{label_width}}  {clean(shares)}")
    return lines


def segment_lines(answers: Sequence[Answer]) -> list[str]:
    """Return a line for each video, then one for each of its segments with one label."""
    by_video: dict[Path, list[Answer]] = {}
    for answer in answers:
        by_video.setdefault(answer.video, []).append(answer)
    lines = []
    for video, of_video in by_video.items():
        problems = "".join(f"  {answer.problem}" for answer in of_video)
        lines.append(clean(f"{video}{problems}"))
        for segment in segments(of_video):
            lines.append(f"  {segment.start:8.1f} - {segment.end:8.1f} s  {clean(segment.label)}")
    return lines


def predictions_document(
    recognizer: Labeller, answers: Sequence[Answer], *, seconds: float
) -> dict[str, Any]:
    """Return network, support, threshold and answers as plain data."""
    trained, threshold = recognizer.network_, recognizer.threshold_
    config = trained.config
    return {
        "format": "tasd-predictions",
        "version": 1,
        "model": {
            "path": str(trained.path),
            "checkpoint": trained.identity,
            "network": trained.network,
            "backbone": config.network.backbone,
            "weights": config.network.weights,
            "matcher": config.matcher.name,
            "precision": trained.model.precision,
        },
        "classes": recognizer.classes_.tolist(),
        "support": {name: list(map(str, c)) for name, c in recognizer.support_.items()},
        "left_out": recognizer.problems_,
        "threshold": None if threshold is None else asdict(threshold),
        "seconds": round(seconds, 3),
        "answers": [answer_document(answer) for answer in answers],
    }


def answer_document(answer: Answer) -> dict[str, Any]:
    """Return one answer as plain data."""
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
    """Return one answer as a line of JSON."""
    return as_json(answer_document(answer), ascii=True) + "\n"


def plain_line(answer: Answer) -> str:
    """Return one answer as a line for people."""
    line = f"{answer.video}: {answer.label or 'not read'}  {_shares(answer, len(answer.scores))}"
    return f"{clean(line)}\n"


class CsvLines:
    """Answers as lines of one CSV file, each with its newline; the header precedes the first."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self._header: list[object] = ["video", "start", "end", "class", "problem"]
        self._header += [cell(f"score {name}") for name in classes]
        self._header += [cell(f"share {name}") for name in classes]
        self._header_written = False

    def __call__(self, answer: Answer) -> str:
        """Return the lines of one answer."""
        start, end = answer.span or ("", "")
        texts = (str(answer.video), answer.label or "", answer.problem)
        video, label, problem = map(cell, texts)
        row: list[object] = [video, start, end, label, problem]
        row += [answer.scores.get(name, "") for name in self.classes]
        shares = answer.probabilities if answer.scores else {}
        row += [shares.get(name, "") for name in self.classes]
        rows = [row] if self._header_written else [self._header, row]
        self._header_written = True
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()


def _shares(answer: Answer, classes: int) -> str:
    """The shares of the likeliest classes and the note, or the problem."""
    if answer.problem:
        return answer.problem
    shares = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
    likeliest = ", ".join(f"{name} {share:.0%}" for name, share in shares[:LIKELIEST])
    more = f", {classes - LIKELIEST} more" if classes > LIKELIEST else ""
    return likeliest + more + (f" ({answer.note})" if answer.note else "")
