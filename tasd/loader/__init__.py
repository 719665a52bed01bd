"""From a store and what to look at to pixels on the training device, decoded ahead of time.

`open_views` serves batches of views, `open_clips` those of cached features too, `EpisodeLoader`
whole episodes. DALI decodes where it is installed, Pillow and torch elsewhere; both do what
`tasd.loader.augment` says and no more, so a batch is a function of its views, whatever the
threads, prefetching or order.
"""

from tasd.loader.episodes import EpisodeLoader
from tasd.loader.views import LOADERS, Views, open_clips, open_views, why_no_dali

__all__ = ["LOADERS", "EpisodeLoader", "Views", "open_clips", "open_views", "why_no_dali"]
