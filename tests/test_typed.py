"""While tests run, all calls within tasd are checked: types, and shapes where arrays are named."""

import numpy as np
import pytest
from jaxtyping import Float

from tasd.evaluation.metrics import over_seeds, paired_difference
from tasd.runs.metrics import metrics_text
from tests.typed import checked


def test_a_wrong_type_is_refused_where_no_array_is_named():
    with pytest.raises(TypeError, match="values=3"):
        metrics_text(3)


def test_a_wrong_shape_is_refused_where_arrays_are_named():
    assert over_seeds(np.array([0.1, 0.2])).mean == pytest.approx(0.15)
    with pytest.raises(TypeError, match="over_seeds"):
        over_seeds(np.array([[0.1, 0.2], [0.3, 0.4]]))


def test_axes_of_one_name_must_have_one_size():
    three, four = np.linspace(0.0, 1.0, 3), np.linspace(0.0, 1.0, 4)
    assert paired_difference(three, three).difference.mean == 0
    with pytest.raises(TypeError, match="paired_difference"):
        paired_difference(three, four)
    assert paired_difference(four, four).difference.mean == 0  # each call has its own sizes


def test_the_result_is_checked_with_the_arguments():
    def cut(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return values[1:]

    with pytest.raises(TypeError, match="cut"):
        checked(cut)(np.zeros(3))
