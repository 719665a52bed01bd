"""Which videos make up an episode.

Nothing here touches pixels; `tasd.loader` decodes what an episode names.
"""

from tasd.episodes.sampler import Episode, EpisodeSampler, SecondView, View, evaluation_view

__all__ = ["Episode", "EpisodeSampler", "SecondView", "View", "evaluation_view"]
