"""Losses from labels: L_M within an episode, and a classifier over all training classes."""

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from tasd.device import outside_autocast, widened


def metric_cross_entropy(
    logits: Float[Tensor, "episodes query way"], query_labels: Int64[Tensor, "episodes query"]
) -> Float[Tensor, ""]:
    """Compute L_M, the cross-entropy over the classes of each episode, mean over all queries."""
    with outside_autocast(logits):
        return functional.cross_entropy(widened(logits).flatten(0, 1), query_labels.flatten())


class AuxiliaryClassifier(nn.Module):
    """Classifier of videos among all training classes, from F averaged over time.

    Several methods of this field train with one (HyRSM: Wang et al., CVPR 2022). An episode
    teaches only the differences within its few classes; this teaches those among all classes.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Linear(channels, classes)

    def forward(
        self,
        frames: Float[Tensor, "videos time channels"],
        labels: Int64[Tensor, " videos"],
    ) -> Float[Tensor, ""]:
        """Compute the cross-entropy against the videos' indices among the training classes."""
        with outside_autocast(frames):
            return functional.cross_entropy(self.classify(widened(frames).mean(1)), labels)
