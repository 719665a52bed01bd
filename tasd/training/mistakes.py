"""All that a person can get wrong about a run, found before any weights are downloaded."""

from tasd.config import Config
from tasd.errors import Mistakes
from tasd.features.store import FeatureStore
from tasd.loader.encoded import check_crop
from tasd.loader.views import chosen_kind
from tasd.model import check_parts
from tasd.store import Store
from tasd.training.plan import training_episodes
from tasd.training.trainable import check_learns
from tasd.training.validation import validation_sampler


def refuse_mistakes(config: Config, store: Store | FeatureStore | None) -> None:
    """Raise `UserError` for what is wrong with the config and for this store, told together.

    store: None where it could not be opened; the config is checked alone then.
    """
    with Mistakes() as mistakes:
        mistakes.of(check_parts, config)
        mistakes.of(check_learns, config)
        if store is None:
            return
        mistakes.of(training_episodes, config, store, episodes=config.training.episodes)
        mistakes.of(validation_sampler, store, config.episode, config.data, config.training)
        if isinstance(store, Store):
            mistakes.of(chosen_kind, config.data.loader)
            mistakes.of(check_crop, store, config.data.crop)
