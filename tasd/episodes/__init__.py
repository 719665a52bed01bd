"""Episodes: the choice of videos, frames and crops. `tasd.loader` decodes the pixels."""

from tasd.episodes.sampler import Episode, EpisodeSampler, SecondView, View, evaluation_view

__all__ = ["Episode", "EpisodeSampler", "SecondView", "View", "evaluation_view"]
