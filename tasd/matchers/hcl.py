"""HCL: matching that zooms in from whole videos over clips to patches, learned by contrast."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.errors import UserError
from tasd.matchers import hcl_losses
from tasd.matchers.arithmetic import frame_tuples, shot_means
from tasd.matchers.base import Matcher, NotNegative, Positive, Rate, Width
from tasd.matchers.hcl_encoder import Encoder
from tasd.matchers.hcl_zoom import Descriptors, Similarities, similarities
from tasd.types import Features, Scores, Task

EPS = 1e-12  # of the heads' layer norms in the published code


class HCL(Matcher):
    """Hierarchical matching and contrastive learning (HCL).

    Zheng, Chen, Jin: "Few-shot Action Recognition with Hierarchical Matching and Contrastive
    Learning", ECCV 2022.

    Two videos are compared as wholes, then by the clips (pairs of frames) of one that have the
    best partners in the other, then by the patches in the frames of the best of these. Contrast
    on all three levels, and a cycle from a video's clips to another of its class and back, train
    the descriptors.

    width: of the descriptors. layers, heads, dropout: of the encoder over all places of all frames.
    top_clips: number of clips that count. zoom: of these, those whose patches are compared; in
    training one. top_patches: number of patches that count in a pair of clips.
    temperature: of the losses.
    whole_weight, temporal_weight, spatial_weight: of the three similarities in the score.
    spatial_cycle: builds the loss of this name, which is off in the authors' run.
    classes: number of training classes, for the video classifier of the loss ``classifier``.

    The losses ``global``, ``temporal`` and ``spatial`` are cross-entropies over the similarities of
    a video to all others of the episode. The authors' batch is two videos of each of 24 classes;
    here the pairs of a class are its queries with its supports, in both directions, so that an
    episode of one shot and one query is their batch.

    Against the published code: videos are described in the same way in training and at test (there
    the trained heads are left out at test); a video is no negative of itself; at several shots too
    the products are averaged (there the metric changes to distances, of which a table is read in
    another order than it is written); any number of frames and size of maps; all pairs at once.
    The multi-scale patches and the weights by class names, off there, are left out.
    """

    needs_maps = True
    pairwise = True
    fewest_frames = 2

    def __init__(
        self,
        channels: int,
        *,
        width: Width = 1152,
        layers: Width = 1,
        heads: Width = 8,
        dropout: Rate = 0.1,
        top_clips: Width = 10,
        top_patches: Width = 40,
        zoom: Width = 5,
        temperature: Positive = 0.07,
        whole_weight: NotNegative = 1.0,
        temporal_weight: NotNegative = 0.5,
        spatial_weight: NotNegative = 0.5,
        spatial_cycle: bool = False,
        classes: int | None = None,
        frames: int = 8,
    ) -> None:
        super().__init__(channels)
        if width % heads:
            raise UserError(
                f"option 'heads' of matcher 'hcl' is {heads}, which does not divide option "
                f"'width', {width}"
            )
        self.top_clips, self.top_patches, self.zoom = top_clips, top_patches, zoom
        self.temperature, self.frames = temperature, frames
        self.level_weights = (whole_weight, temporal_weight, spatial_weight)
        self.encoder = Encoder(channels, width=width, layers=layers, heads=heads, dropout=dropout)
        self.join = nn.Linear(2 * width, width)
        self.of_clips, self.of_patches = nn.Linear(width, width), nn.Linear(width, width)
        self.norm_clips, self.norm_patches = (nn.LayerNorm(width, eps=EPS) for _ in range(2))
        self.classifier = None if classes is None else nn.Linear(width, classes)
        built = {"classifier": classes is not None, "spatial_cycle": spatial_cycle}
        always = ("global", "temporal", "spatial", "temporal_cycle")
        self.loss_names = (*always, *(name for name, wanted in built.items() if wanted))

    def match(self, task: Task) -> Scores:
        """Score the task; where it holds labels, add the losses and zoom into one pair of clips."""
        assert task.support_maps is not None, "HCL reads maps"
        assert task.query_maps is not None, "HCL reads maps"
        episodes, support = task.support.shape[:2]
        maps = torch.cat([task.support_maps, task.query_maps], dim=1).flatten(0, 1)
        tokens = self.encoder(maps)
        rows = self.describe(tokens).unflatten(0, (episodes, -1))
        if task.query_labels is None:
            distances = self.pair_distances(rows[:, support:], rows[:, :support])
            return Scores(-shot_means(distances, task.support_labels, way=task.way))
        videos = self.unpack(rows)
        found = self.similarities(videos, videos, zoom=1)
        pairs = self.total(found)[:, support:, :support]
        losses = self.losses(videos, found, task)
        if self.classifier and task.support_classes is not None and task.query_classes is not None:
            classes = torch.cat([task.support_classes, task.query_classes], dim=1)
            logits = self.class_logits(tokens)
            losses["classifier"] = functional.cross_entropy(logits, classes.flatten())
        return Scores(shot_means(pairs, task.support_labels, way=task.way), losses)

    def prepare(self, features: Features) -> Features:
        """Compute the descriptors of each video, see `describe`; the maps are dropped."""
        assert features.maps is not None, "HCL reads maps"
        return Features(self.describe(self.encoder(features.maps)))

    def describe(
        self, tokens: Float[Tensor, "videos time places width"]
    ) -> Float[Tensor, "videos rows width"]:
        """Compute the descriptors of all clips, of all patches, and of the whole, in rows."""
        assert tokens.shape[1] == self.frames, "videos have the number of frames of the run"
        frames = tokens.mean(dim=2)
        pairs = frame_tuples(tokens.shape[1], 2, like=tokens)
        joined = self.join(frames[:, pairs].flatten(2))
        clips = self.norm_clips(functional.gelu(self.of_clips(joined)))
        patches = self.norm_patches(functional.gelu(self.of_patches(tokens.flatten(1, 2))))
        clips, patches = (functional.normalize(each, dim=2) for each in (clips, patches))
        return torch.cat([clips, patches, patches.mean(dim=1, keepdim=True)], dim=1)

    def unpack(self, rows: Float[Tensor, "episodes videos rows width"]) -> Descriptors:
        """Take the rows of `describe` apart."""
        clips = self.frames * (self.frames - 1) // 2
        patches = rows[:, :, clips:-1].unflatten(2, (self.frames, -1))
        return Descriptors(rows[:, :, :clips], patches, rows[:, :, -1])

    def similarities(self, x: Descriptors, y: Descriptors, *, zoom: int) -> Similarities:
        """Compare all pairs of videos on the three levels."""
        return similarities(x, y, top_clips=self.top_clips, top_patches=self.top_patches, zoom=zoom)

    def total(self, found: Similarities) -> Float[Tensor, "episodes x y"]:
        """Add the weighted similarities of the three levels up."""
        whole, temporal, spatial = self.level_weights
        return whole * found.whole + temporal * found.clips + spatial * found.patches

    def compare(self, task: Task) -> Scores:
        """Score by the similarity of the query to the shots of a class, averaged."""
        distances = self.pair_distances(task.query, task.support)
        return Scores(-shot_means(distances, task.support_labels, way=task.way))

    def pair_distances(
        self,
        query: Float[Tensor, "episodes query rows width"],
        support: Float[Tensor, "episodes support rows width"],
    ) -> Float[Tensor, "episodes query support"]:
        """Compute minus the similarity from each query to each support."""
        found = self.similarities(self.unpack(query), self.unpack(support), zoom=self.zoom)
        return -self.total(found)

    def losses(
        self, videos: Descriptors, found: Similarities, task: Task
    ) -> dict[str, Float[Tensor, ""]]:
        """Compute the losses that need the labels of an episode."""
        assert task.query_labels is not None
        positive = hcl_losses.partners(task.support_labels, task.query_labels)
        levels = {"global": found.whole, "temporal": found.clips, "spatial": found.patches}
        losses = {
            name: hcl_losses.contrast(sims, positive, temperature=self.temperature)
            for name, sims in levels.items()
        }
        losses["temporal_cycle"] = hcl_losses.temporal_cycle(
            videos, positive, temperature=self.temperature
        )
        if "spatial_cycle" in self.loss_names:
            losses["spatial_cycle"] = hcl_losses.spatial_cycle(
                videos, found.matched, positive, temperature=self.temperature
            )
        return losses

    def class_logits(
        self, tokens: Float[Tensor, "videos time places width"]
    ) -> Float[Tensor, "videos classes"]:
        """Classify the mean of a video's tokens."""
        assert self.classifier is not None
        logits: Tensor = self.classifier(tokens.mean(dim=(1, 2)))
        return logits
