"""Answers as JSON for the page; classes and examples are named by their ids there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasd.app.items import Clip
from tasd.predict.answer import Answer
from tasd.predict.windows import segments


def answer_json(
    answer: Answer, classes: Mapping[str, str], examples: Mapping[Path, Clip]
) -> dict[str, Any]:
    """Return an answer with the shares of all classes, the likeliest first.

    classes: their ids by name. examples: the clips by path.
    """
    assert answer.nearest is not None
    shares = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
    near = examples[answer.nearest.path]
    return {
        "class": classes[answer.best or ""],
        "accepted": answer.accepted,
        "scores": [
            {"class": classes[name], "share": share, "score": answer.scores[name]}
            for name, share in shares
        ],
        "nearest": {"id": near.id, "name": near.name, "seconds": list(near.seconds)},
    }


def windows_json(
    answers: Sequence[Answer], classes: Mapping[str, str], examples: Mapping[Path, Clip]
) -> dict[str, Any]:
    """Return the segments of a long video; of each the window that is surest.

    class: None for none of these. window: the number of its thumbnail.
    """
    found = []
    for segment in segments(answers):
        inside = [
            number
            for number, answer in enumerate(answers)
            if answer.span is not None
            and answer.label == segment.label
            and segment.start <= sum(answer.span) / 2 <= segment.end
        ]
        best = max(inside, key=lambda number: max(answers[number].probabilities.values()))
        found.append(
            {
                "class": classes.get(segment.label),
                "start": segment.start,
                "end": segment.end,
                "window": best,
                "share": max(answers[best].probabilities.values()),
            }
        )
    end = answers[-1].span[1] if answers[-1].span is not None else 0.0
    return {"segments": found, "seconds": end, "windows": len(answers)}
