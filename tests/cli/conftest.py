"""The fixtures of `tasd.predict`, for the tests of its command."""

from tests.predict.conftest import clips, home, support, trained_once

__all__ = ["clips", "home", "support", "trained_once"]
