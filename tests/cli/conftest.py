"""The fixtures of `tasd.predict`, for the tests of its command."""

from tests.predict.conftest import (
    clips,
    empty_home,
    home,
    resnet8_weights,
    support,
    trained_once,
)

__all__ = ["clips", "empty_home", "home", "resnet8_weights", "support", "trained_once"]
