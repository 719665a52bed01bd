"""Episode files: a file gives back what was drawn, and its mistakes are reported."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tasd.episodes import EpisodeSampler
from tasd.episodes.files import load_episodes, save_episodes
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.score import score
from tasd.matchers import build
from tasd.store import Store
from tests.feature_stores import WIDTH, episodes, feature_store
from tests.stores import write_store


def test_episodes_come_back_from_a_file_as_they_were(tmp_path):
    table = episodes(20, shot=2)
    save_episodes(tmp_path / "episodes.json", table)
    again = load_episodes(tmp_path / "episodes.json")
    assert again.hash == table.hash
    np.testing.assert_array_equal(again.query, table.query)
    matcher, features = build("bimhm", WIDTH), feature_store()
    one, other = (score(features, t, matcher) for t in (table, again))
    np.testing.assert_array_equal(one.logits, other.logits)


def test_the_example_of_the_documents_is_a_file_of_episodes(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (tmp_path / "episodes.json").write_text(example)
    table = load_episodes(tmp_path / "episodes.json")
    assert (len(table), table.way, table.shot, table.queries) == (1, 2, 1, 1)


def test_the_hash_goes_by_names_and_not_by_numbers():
    table = episodes(20)
    order = np.random.default_rng(0).permutation(len(table.videos))
    place = np.argsort(order)
    renumbered = EpisodeTable(
        classes=table.classes,
        videos=tuple(table.videos[i] for i in order),
        video_class=table.video_class[order],
        support=place[table.support],
        query=place[table.query],
    )
    assert renumbered.hash == table.hash
    assert episodes(20, seed=4).hash != table.hash


def changed_file(path: Path, **changes) -> Path:
    save_episodes(path, episodes(3))
    tree = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(tree))
    return path


TWO = [[[0], [7]]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, 'is not a file of episodes ("format": "tasd-episodes")'),
        ({"version": 2}, "has version 2 of its format, this tasd reads version 1"),
        ({"videos": "all"}, '"videos" must be a list of names'),
        ({"videos": ["a", "b", "a"]}, "\"videos\" holds 'a' twice"),
        ({"video_class": [0]}, '"video_class" must have one entry for each of "videos"'),
        (
            {"support": [[[0], [7, 8]]]},
            "every episode of the same shape; write episodes of different",
        ),
        ({"support": [[[0.5], [7]]]}, "every episode of the same shape"),
        ({"support": None}, '"support" must be episodes x way x videos of integers'),
        ({"query": [[[1], [99]]]}, '"query" holds 99; indices are 0 to 41'),
        ({"query": [[[-1], [8]]]}, '"query" holds -1; indices'),
        ({"support": TWO, "query": [[[1]]]}, "must agree in episodes and in a way >= 2"),
        ({"support": TWO, "query": [[[1], [2]]]}, "episode 0 has videos of several classes"),
        ({"support": [[[0], [1]]], "query": [[[2], [3]]]}, "episode 0 has the same class twice"),
        ({"support": TWO, "query": [[[0], [8]]]}, "episode 0 has the same video twice"),
    ],
)
def test_mistakes_in_a_file_of_episodes_are_told(tmp_path, changes, message):
    path = changed_file(tmp_path / "episodes.json", **changes)
    with pytest.raises(UserError) as refused:
        load_episodes(path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_or_no_json_is_told(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(No such file or directory\); tasd eval"):
        load_episodes(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(UserError, match=r"cannot be read \(Expecting property name"):
        load_episodes(tmp_path / "text.json")


def test_the_same_videos_give_the_same_episodes_from_any_store(tmp_path, small_store):
    again = write_store(tmp_path / "again", frames=3)
    with Store(small_store) as one, Store(again) as other:
        samplers = [EpisodeSampler(s.classes("test"), 5, 1, 1, 50, 0) for s in (one, other)]
        tables = [EpisodeTable.draw(sampler) for sampler in samplers]
    assert tables[0].hash == tables[1].hash
