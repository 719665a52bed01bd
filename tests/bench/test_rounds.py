import functools
import io

import pytest
from rich.console import Console

from tasd.bench.rounds import Conditions, interleaved, median_ratio, table_of, usable_cores


def test_another_way_goes_first_in_each_round_and_warming_up_does_not_count():
    order = []

    def measure(way):
        order.append(way)
        return len(order)

    ways = {way: functools.partial(measure, way) for way in "abc"}
    measured = interleaved(ways, rounds=2, warm_up=1, what="test")
    assert "".join(order) == "abcbcacab"
    assert measured == {"a": [6, 8], "b": [4, 9], "c": [5, 7]}


def test_a_ratio_is_the_median_of_the_ratios_within_a_round():
    assert median_ratio([4.0, 9.0, 20.0], [1.0, 2.0, 10.0]) == 4.0  # of 4, 4.5 and 2
    with pytest.raises(ValueError, match="zip"):
        median_ratio([1.0], [1.0, 2.0])


def test_the_cores_of_this_process_are_counted():
    assert Conditions(device="cpu", rounds=1).cores == len(usable_cores()) > 0


def test_words_are_aligned_at_the_left_and_figures_at_the_right():
    table = table_of("title", "caption", {"way": ["tasd", "longer"], "ms": ["1.0", "10.0"]})
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    assert [column.justify for column in table.columns] == ["left", "right"]
    assert {"title", "caption", "longer"} <= set(console.file.getvalue().split())
