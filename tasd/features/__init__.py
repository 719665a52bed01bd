"""Feature files, read, written and held in memory."""

from tasd.features.reader import open_features
from tasd.features.store import FeatureStore

__all__ = ["FeatureStore", "open_features"]
