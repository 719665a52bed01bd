"""While tests run, all calls within tasd are checked: types, and shapes where arrays are named."""

import numpy as np
import pytest

from tasd.evaluation.metrics import over_seeds
from tasd.runs.metrics import metrics_text


def test_a_wrong_type_is_refused_where_no_array_is_named():
    with pytest.raises(TypeError, match="values=3"):
        metrics_text(3)


def test_a_wrong_shape_is_refused_where_arrays_are_named():
    assert over_seeds(np.array([0.1, 0.2])).mean == pytest.approx(0.15)
    with pytest.raises(TypeError, match="over_seeds"):
        over_seeds(np.array([[0.1, 0.2], [0.3, 0.4]]))
