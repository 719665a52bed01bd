"""MoLo: set matching of frames and of motion, with class tokens that summarise a video."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import class_means, cosine_distances
from tasd.matchers.attention import ScaledPositions, SelfAttention
from tasd.matchers.base import (
    Matcher,
    NotNegative,
    Positive,
    Width,
    check_heads,
)
from tasd.matchers.bimhm import bidirectional_hausdorff
from tasd.matchers.molo_motion import Motion, Reconstruction
from tasd.types import Features, Scores, Task

EPS = 0.01  # in every cosine of the published code


class TokenEncoder(nn.Module):
    """A class token in front, positions, one transformer layer without a second norm, ReLU."""

    def __init__(self, channels: int, *, heads: int, positions: ScaledPositions) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.randn(channels))
        self.positions = positions
        self.attention = SelfAttention(channels, heads=heads)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2048),
            nn.GELU(),
            nn.Dropout(0.05),
            nn.Linear(2048, channels),
            nn.Dropout(0.05),
        )

    def forward(
        self, tokens: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos class_and_time channels"]:
        """Let the class token, put in front, and the tokens attend to each other."""
        front = self.class_token.expand(tokens.shape[0], 1, -1)
        attended = self.attention(self.positions(torch.cat([front, tokens], dim=1)))
        return functional.relu(attended + self.mlp(attended))


class MoLo(Matcher):
    """Motion-augmented long-short contrastive learning (MoLo).

    Wang, Zhang, Qing, Gao, Zhang, Zhao, Sang: "MoLo: Motion-augmented Long-short Contrastive
    Learning for Few-shot Action Recognition", CVPR 2023.

    A class token summarises all frames of a video, and every frame of a video of the same class
    is trained to be close to it, so that single frames represent the whole action. A second
    branch does the same for differences between neighbouring feature maps, from which a decoder
    must also reconstruct the differences of the pixels.

    heads: their number in both branches; it divides the channels.
    position_a, position_b: as for HyRSM; the Kinetics setting is (channels, 0.02).
    motion_weight: weight of the motion branch's distance in the score.
    reconstruct: builds the decoder of the loss ``reconstruction``.
    classes: number of training classes, for the video classifier of the loss ``classifier``.

    The losses: ``classifier``; ``contrast``, the sum of four cross-entropies (frames of the
    class against the query's token and frames of the query against the class's, in both
    branches), each scaled by a learned factor; ``reconstruction``, the mean squared error.

    Against the published code: any size of maps and frames (what is reconstructed is resized to
    the pixels where they differ) and any number of frames; there maps have 7 x 7 cells, frames
    224 x 224 pixels and videos 8 frames.
    """

    needs_maps = True
    fewest_frames = 2

    def __init__(
        self,
        channels: int,
        *,
        heads: Width = 8,
        position_a: Positive = 10.0,
        position_b: float = 1.0,
        motion_weight: NotNegative = 0.3,
        reconstruct: bool = True,
        classes: int | None = None,
    ) -> None:
        super().__init__(channels)
        check_heads("molo", channels, heads)
        self.motion_weight = motion_weight
        positions = ScaledPositions(channels, a=position_a, b=position_b)
        self.of_frames = TokenEncoder(channels, heads=heads, positions=positions)
        self.motion = Motion(channels)
        self.of_steps = TokenEncoder(channels, heads=heads, positions=positions)
        self.scale = nn.Parameter(torch.ones(1))
        self.scale_motion = nn.Parameter(torch.ones(1))
        self.classifier = None if classes is None else nn.Linear(channels, classes)
        self.reconstruction = Reconstruction(channels) if reconstruct else None
        self.needs_pixels = reconstruct
        built = {"classifier": classes is not None, "reconstruction": reconstruct}
        self.loss_names = ("contrast", *(name for name, wanted in built.items() if wanted))

    def match(self, task: Task) -> Scores:
        """Score the task; add the losses whose labels or pixels the task holds."""
        assert task.support_maps is not None, "MoLo reads maps"
        assert task.query_maps is not None, "MoLo reads maps"
        episodes, shots = task.support.shape[:2]
        maps = torch.cat([task.support_maps, task.query_maps], dim=1).flatten(0, 1)
        steps = self.motion(maps)
        tokens = self.tokens(maps, steps)
        tokens = tokens.reshape(episodes, -1, *tokens.shape[1:])
        encoded = Task(task.way, tokens[:, :shots], tokens[:, shots:], task.support_labels)
        losses = {} if task.query_labels is None else {"contrast": self.contrast(task, encoded)}
        if self.classifier and task.support_classes is not None and task.query_classes is not None:
            classes = torch.cat([task.support_classes, task.query_classes], dim=1)
            logits = self.class_logits(tokens.flatten(0, 1))
            losses["classifier"] = functional.cross_entropy(logits, classes.flatten())
        if self.reconstruction is not None and task.support_pixels is not None:
            assert task.query_pixels is not None, "pixels of support and query go together"
            pixels = torch.cat([task.support_pixels, task.query_pixels], dim=1).flatten(0, 1)
            losses["reconstruction"] = self.reconstruction(steps, pixels)
        return Scores(self.compare(encoded).logits, losses)

    def prepare(self, features: Features) -> Features:
        """Compute the tokens of both branches, one after the other; the maps are dropped."""
        assert features.maps is not None, "MoLo reads maps"
        return Features(self.tokens(features.maps, self.motion(features.maps)))

    def tokens(
        self,
        maps: Float[Tensor, "videos channels time height width"],
        steps: Float[Tensor, "videos steps narrow height width"],
    ) -> Float[Tensor, "videos rows channels"]:
        """Compute class token, frames, class token of the motion, steps: 2 time + 1 rows."""
        frames = self.of_frames(maps.mean(dim=(3, 4)).mT)
        return torch.cat([frames, self.of_steps(self.motion.tokens(steps))], dim=1)

    def compare(self, task: Task) -> Scores:
        """Score by minus the set distances to the prototypes, of frames plus weighted motion."""
        distances = self.branch_distances(task)
        return Scores(-(distances["frames"] + self.motion_weight * distances["motion"]))

    def branch_distances(self, task: Task) -> dict[str, Float[Tensor, "episodes query way"]]:
        """Compute the bidirectional mean Hausdorff metric of each branch, without class tokens."""
        prototypes = class_means(task.support, task.support_labels, way=task.way)
        pairs = zip(self.branches(task.query), self.branches(prototypes), strict=True)
        distances = [
            bidirectional_hausdorff(cosine_distances(query[:, :, 1:], own[:, :, 1:], eps=EPS))
            for query, own in pairs
        ]
        return dict(zip(("frames", "motion"), distances, strict=True))

    def contrast_logits(self, task: Task) -> dict[str, Float[Tensor, "episodes query way"]]:
        """Compare the frames of one video with the class token of the other, in each branch."""
        prototypes = class_means(task.support, task.support_labels, way=task.way)
        pairs = zip(self.branches(task.query), self.branches(prototypes), strict=True)
        logits = {}
        for (query, own), scale, name in zip(
            pairs, (self.scale, self.scale_motion), ("frames", "motion"), strict=True
        ):
            to_query = cosine_distances(query[:, :, :1], own[:, :, 1:], eps=EPS)
            to_support = cosine_distances(query[:, :, 1:], own[:, :, :1], eps=EPS)
            logits[f"support_to_query_{name}"] = -scale * to_query.sum(dim=(3, 4))
            logits[f"query_to_support_{name}"] = -scale * to_support.sum(dim=(3, 4))
        return logits

    def contrast(self, task: Task, encoded: Task) -> Float[Tensor, ""]:
        """Sum the four long-short cross-entropies."""
        assert task.query_labels is not None
        labels = task.query_labels.flatten()
        each = [
            functional.cross_entropy(logits.flatten(0, 1), labels)
            for logits in self.contrast_logits(encoded).values()
        ]
        return torch.stack(each).sum()

    def class_logits(
        self, tokens: Float[Tensor, "videos rows channels"]
    ) -> Float[Tensor, "videos classes"]:
        """Classify the mean of the frame branch plus the mean of the motion branch."""
        assert self.classifier is not None
        frames, steps = self.branches(tokens[None])
        logits: Tensor = self.classifier(frames[0].mean(dim=1) + steps[0].mean(dim=1))
        return logits

    @staticmethod
    def branches(tokens: Float[Tensor, "episodes videos rows channels"]) -> tuple[Tensor, Tensor]:
        """Split the rows into those of the frame branch and those of the motion branch."""
        time = tokens.shape[2] // 2
        return tokens[:, :, : time + 1], tokens[:, :, time + 1 :]
