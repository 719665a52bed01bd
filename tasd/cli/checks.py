"""Checks of options that several commands share; each tells all that it finds together."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasd.errors import Mistakes

if TYPE_CHECKING:
    from tasd.evaluation.episodes import EpisodeRequest


def check_backbone(name: str, weights: str | None, matcher: str | None) -> None:
    """Raise `UserError` for names that do not exist; nothing is downloaded."""
    from tasd.backbones import described
    from tasd.backbones.weights import check
    from tasd.config import weights_name

    with Mistakes() as mistakes:
        found = mistakes.of(described, name)
        if found is not None:
            mistakes.of(check, found, weights_name(name, weights or "imagenet"))
        mistakes.of(check_matcher, matcher)


def check_matcher(name: str | None) -> None:
    """Raise `UserError` for a matcher that does not exist."""
    from tasd.matchers import MATCHERS
    from tasd.registry import pick

    if name is not None:
        # The names alone: the class would load torch.
        pick(dict.fromkeys(MATCHERS), name, what="matcher")


def check_store(store: Path | None, split: str, request: "EpisodeRequest") -> None:
    """Raise `UserError` where the store is none or its split cannot fill the episodes."""
    from tasd.evaluation.episodes import check_episodes
    from tasd.home import only_store
    from tasd.store import Store

    with Store(store or only_store()) as opened:
        check_episodes(opened, split, request)
