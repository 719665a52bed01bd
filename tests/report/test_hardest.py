"""The episodes on the page are those of the test, scored as in the test, hardest first."""

import json

import numpy as np
import pytest
import torch

from tasd.errors import UserError
from tasd.evaluation.results import write_document
from tasd.report.cached_test import cached_test, episodes_of, matcher_of
from tasd.report.hardest import HARDEST, SPREAD, hardest_episodes
from tasd.report.outcome import read_outcome
from tasd.types import Task


def test_the_episodes_and_scores_are_those_of_the_test(outcome):
    found = cached_test(outcome)
    episodes = episodes_of(found)
    assert episodes.hash == outcome.result["episodes"]["sha256"]
    shown = hardest_episodes(found)
    assert len(shown) == HARDEST + SPREAD
    row = {video: place for place, video in enumerate(found.features.videos)}
    matcher = matcher_of(found)
    for episode in shown:
        assert episode.right == outcome.chosen["correct"][episode.number - 1]
        support = [row[video] for own in episode.support for video in own]
        query = [row[answer.video] for answer in episode.answers]
        frames = torch.from_numpy(found.features.features)
        task = Task(5, frames[support][None], frames[query][None], torch.arange(5)[None])
        with torch.inference_mode():
            scores = matcher(task).logits[0].numpy()
        for answer, wanted in zip(episode.answers, scores, strict=True):
            assert answer.scores == pytest.approx(wanted.tolist(), abs=1e-4)
            assert answer.video.startswith(f"{episode.classes[answer.true]}/")
            assert answer.given == int(np.argmax(wanted))


def test_the_hardest_come_first_and_the_last_are_spread(outcome):
    shown = hardest_episodes(cached_test(outcome))
    every = sorted(outcome.chosen["correct"])
    right = [episode.right for episode in shown]
    assert right == sorted(right)
    assert right[:HARDEST] == every[:HARDEST]
    assert right[-1] == every[-1]


def test_of_many_episodes_the_last_are_spread_over_all(outcome, monkeypatch):
    monkeypatch.setattr("tasd.report.hardest.CANDIDATES", 20)
    shown = hardest_episodes(cached_test(outcome))
    every = sorted(outcome.chosen["correct"])
    right = [episode.right for episode in shown]
    assert right[:HARDEST] == every[:HARDEST]
    assert right[HARDEST:] == [every[20 + int(place)] for place in np.linspace(0, 19, SPREAD)]
    assert len({episode.number for episode in shown}) == HARDEST + SPREAD


def edit(outcome, change):
    content = json.loads(outcome.path.read_text())
    change(content)
    write_document(outcome.path, content)
    return read_outcome(outcome.run.path)


def test_each_thing_that_is_gone_is_named(outcome):
    found = cached_test(outcome)
    none = edit(outcome, lambda content: content["episodes"].update(seed=None))
    with pytest.raises(UserError, match="read from a file, which the result does not hold"):
        episodes_of(cached_test(none))
    other = edit(outcome, lambda content: content["episodes"].update(seed=5))
    with pytest.raises(UserError, match="cannot be drawn again from these videos"):
        episodes_of(cached_test(other))
    best = outcome.run.best
    best.write_bytes(best.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"best\.pt has changed since the test"):
        matcher_of(found)
    best.unlink()
    with pytest.raises(UserError, match=r"the checkpoint best\.pt of the test is no longer"):
        matcher_of(found)
    unnamed = edit(outcome, lambda content: content["provenance"].pop("features"))
    with pytest.raises(UserError, match="does not name its features; run tasd evaluate again"):
        cached_test(unnamed)


def test_features_that_are_gone_or_others_are_told(outcome):
    path = cached_test(outcome).features.path
    edit(
        outcome,
        lambda content: content["provenance"]["features"][content["chosen"]].update(sha256="0"),
    )
    with pytest.raises(UserError, match="are not those of the test any more; tasd evaluate"):
        cached_test(read_outcome(outcome.run.path))
    path.unlink()
    with pytest.raises(UserError, match="are no longer in the run; tasd evaluate writes them"):
        cached_test(outcome)
