"""Loading of views from a store to pixels on the training device, decoded ahead of time.

`open_views` loads batches of views, `open_clips` the same from a store or from cached features,
and `EpisodeLoader` whole episodes. DALI decodes where it is installed, Pillow elsewhere. Both
apply exactly the treatment of `tasd.loader.augment`, so that a batch depends on its views alone
and not on threads, prefetching or order.
"""

from tasd.loader.episodes import EpisodeLoader
from tasd.loader.views import LOADERS, Views, open_clips, open_views, why_no_dali

__all__ = ["LOADERS", "EpisodeLoader", "Views", "open_clips", "open_views", "why_no_dali"]
