"""The fixtures of the loader, for the tests of its benchmark."""

from tests.loader.conftest import make_store, store

__all__ = ["make_store", "store"]
