import json

import pytest
from typer.testing import CliRunner

from tasd.bench import growth
from tasd.bench.growth import bench_growth, exponent, growth_table, tiny_store
from tasd.cli.bench import app
from tasd.errors import UserError
from tasd.store import Store


def test_the_exponent_is_that_of_the_two_largest_sizes():
    assert exponent([1, 10, 100], [5.0, 3.0, 300.0]) == pytest.approx(2)
    assert exponent([1000, 8000], [7.0, 56.0]) == pytest.approx(1)


def test_a_tiny_store_has_as_many_videos_as_are_asked_for(tmp_path):
    with Store(tiny_store(tmp_path / "one", 250, in_shard=100)) as store:
        assert len(store.videos) == 250
        assert len(store.shards) == 3
        assert len(store.classes()) == 20
        assert len(store.classes("test")) == 4
        assert bytes(store.jpegs("class 00000/video 0000000", [0])[0]) == b"x"


@pytest.fixture
def few_episodes(monkeypatch):
    monkeypatch.setattr(growth, "DRAWN", 20)
    monkeypatch.setattr(growth, "VIDEOS_EACH", 2)


@pytest.mark.usefixtures("few_episodes")
def test_every_work_is_measured_at_every_size():
    times = bench_growth([100, 400], rounds=1)
    assert times.sizes == (100, 400)
    assert [row.work for row in times.works][1] == "open it"
    for row in times.works:
        assert len(row.seconds) == len(row.peak) == 2
        assert min(*row.seconds, *row.peak) > 0
        assert row.memory_exponent < 1.2  # counted, not timed
    assert len(growth_table(times).columns) == 6


@pytest.mark.usefixtures("few_episodes")
def test_the_command_prints_what_it_measures():
    done = CliRunner().invoke(app, ["growth", "--size", "100", "--size", "200", "--rounds", "1"])
    assert done.exit_code == 0, done.output
    assert "n^" in done.output


@pytest.mark.usefixtures("few_episodes")
def test_the_command_prints_json_of_rising_sizes():
    words = ["growth", "--size", "200", "--size", "100", "--rounds", "1", "--json"]
    assert json.loads(CliRunner().invoke(app, words).stdout)["sizes"] == [100, 200]


def test_one_size_shows_no_growth():
    done = CliRunner().invoke(app, ["growth", "--size", "100"])
    assert isinstance(done.exception, UserError)
    assert "--size 100 is one size" in str(done.exception)
