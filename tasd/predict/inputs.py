"""The X and y of the estimators: clips by their paths, or features, as scikit-learn passes them.

Paths need nothing of scikit-learn; its checks of arrays are imported where an array comes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasd.errors import UserError
from tasd.types import Features


class InputError(UserError, ValueError):
    """An X or y that cannot be used; a ``ValueError`` for callers of scikit-learn."""


class InputTypeError(InputError, TypeError):
    """An X or y of a type that cannot be used; a ``TypeError`` for callers of scikit-learn."""


def is_path(given: object) -> bool:
    """True for one path."""
    return isinstance(given, str | os.PathLike)


def is_features(given: object) -> bool:
    """True for anything that is neither a path nor a list of paths."""
    if is_path(given):
        return False
    if hasattr(given, "toarray") or isinstance(given, torch.Tensor):
        return True
    if isinstance(given, Mapping):  # of classes to their clips
        return False
    if isinstance(given, np.ndarray) and given.dtype.kind not in "OU":
        return True
    if isinstance(given, np.ndarray) and given.ndim == 1:
        return not all(map(is_path, given))
    if isinstance(given, np.ndarray) or hasattr(given, "columns") or not hasattr(given, "__len__"):
        return True
    return not all(map(is_path, given))  # type: ignore[call-overload]


def clip_paths(given: Any) -> list[Path]:
    """Return the clips that X names; one path is one clip. Raises `InputError`."""
    if is_path(given):
        return [Path(given)]
    return [Path(path) for path in given]


def feature_rows(estimator: object, given: Any, *, reset: bool, what: str = "X") -> Features:
    """Check features, (clips, frames, channels) or (clips, channels) of one frame each.

    reset: these are the first that the estimator sees, and set its ``n_features_in_``.

    Raises `InputError` for another shape, no clip, another number of channels, or values that are
    not finite.
    """
    from sklearn.utils.validation import check_array, validate_data

    given = given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else given
    try:
        if _dimensions(given) == 3:
            rows = check_array(
                given, dtype=np.float32, allow_nd=True, estimator=estimator, input_name=what
            )
            validate_data(estimator, rows[:, 0], reset=reset, skip_check_array=True)
            if min(rows.shape) < 1:
                raise ValueError(f"{what} has the shape {rows.shape}, and no number may be 0")
        else:
            rows = validate_data(estimator, given, reset=reset, dtype=np.float32)[:, None]
    except (ValueError, TypeError) as error:
        kind = InputTypeError if isinstance(error, TypeError) else InputError
        raise kind(" ".join(str(error).split())) from None
    return Features(torch.from_numpy(np.ascontiguousarray(rows)))


def _dimensions(given: Any) -> int:
    return int(np.ndim(given) if isinstance(given, list | tuple) else getattr(given, "ndim", 2))


def check_labels(given: object, *, count: int) -> list[Any]:
    """Return a label for each of ``count`` clips. Raises `InputError`."""
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

    if given is None:
        raise InputError(
            f"fit of {count} clips requires y to be passed, but the target y is None; give a label "
            "for each clip, or a folder <class>/<clips>"
        )
    try:
        labels = column_or_1d(given, warn=True)
        check_consistent_length(np.empty(count), labels)
        if labels.dtype.kind in "fc":
            labels = check_array(labels, ensure_2d=False, dtype=None, input_name="y")
        check_classification_targets(labels)
    except (ValueError, TypeError) as error:
        kind = InputTypeError if isinstance(error, TypeError) else InputError
        raise kind(" ".join(str(error).split())) from None
    return list(labels)


def row_names(start: int, count: int) -> Sequence[Path]:
    """Return names for rows of features, which have no paths."""
    return tuple(Path(f"row {number}") for number in range(start, start + count))
