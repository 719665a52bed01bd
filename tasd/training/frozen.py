"""Training on cached features: a recipe with a frozen backbone."""

from pathlib import Path

from tasd.backbones import CACHED
from tasd.config import Config, validate
from tasd.errors import UserError
from tasd.features.store import FeatureStore


def on_features(config: Config, features: FeatureStore) -> Config:
    """Return ``config`` with the features of a file in place of frames and backbone.

    Of the distillation only Eq. 2 stays: Eqs 3 to 11 compare the backbone's feature maps, and
    everything that learns here comes after them.

    Raises `UserError` where the file does not say which classes are for training.
    """
    if not (features.splits["train"] and features.splits["val"]):
        raise UserError(
            f"{features.path} has only classes of {_there(features)}; to train on it, write "
            "train, val or test for each class into /class_split"
        )
    tree = config.model_dump()
    _, time, channels = features.features.shape
    tree["data"] |= {
        "features": str(Path(features.path).resolve()),
        "frames": min(time, config.data.frames),
    }
    tree["network"] |= {"backbone": CACHED, "channels": channels, "weights": "none"}
    tree["distill"] |= {"at": 0.0, "am": 0.0, "pr": 0.0}
    return validate(tree, source=str(features.path))


def _there(features: FeatureStore) -> str:
    return " and ".join(split for split, classes in features.splits.items() if classes)
