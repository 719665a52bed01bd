"""Within-class covariance normalisation of frame features, fitted on the training classes."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from tasd.device import outside_autocast
from tasd.errors import UserError


class WithinClassNormalisation(nn.Module):
    """Scale features so that the training classes vary alike in every direction within a class.

    Hatch, Kajarekar, Stolcke: "Within-Class Covariance Normalization for SVM-Based Speaker
    Recognition", Interspeech 2006. Directions in which videos of one class differ, as faces,
    clothes and rooms do, then weigh less in a comparison. Not part of the paper.

    ``fit`` is done once, before the first step; the result is kept with the weights and never
    trained. Before that features pass unchanged.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("matrix", torch.eye(channels))

    def forward(
        self, frames: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos time channels"]:
        """Return (x - mean) W, in float32."""
        with outside_autocast(frames):
            normalised: Tensor = (frames.float() - self.mean) @ self.matrix
        return normalised

    @torch.no_grad()
    def fit(
        self,
        frames: Float[Tensor, "videos time channels"],
        classes: Int64[Tensor, " videos"],
        *,
        shrinkage: float,
    ) -> None:
        """Set W = s (C + shrinkage tr(C) / channels I)^(-1/2), C the covariance within classes.

        All frames of all videos of a class are its samples. s keeps the mean norm of centred
        features. shrinkage: above 0; a large one leaves features as they are, but for the mean.
        Raises `UserError` where the frames of each class are equal.
        """
        wide = frames.double()
        mean = wide.flatten(0, 1).mean(dim=0)
        covariance = torch.zeros(2 * mean.shape, dtype=wide.dtype, device=wide.device)
        for each in classes.unique():
            own = wide[classes == each].flatten(0, 1)
            own = own - own.mean(dim=0)
            covariance += own.T @ own
        covariance /= wide.shape[0] * wide.shape[1]
        average = covariance.diagonal().mean()
        if not average > 0:
            raise UserError(
                "network.wccn: the features of each training class are all equal, so that nothing "
                "varies within a class; leave network.wccn out"
            )
        values, vectors = torch.linalg.eigh(covariance)
        scale = (values.clamp(min=0) + shrinkage * average).rsqrt()
        matrix = (vectors * scale) @ vectors.T
        centred = (wide - mean).flatten(0, 1)
        matrix *= centred.norm(dim=1).mean() / (centred @ matrix).norm(dim=1).mean()
        self.mean.copy_(mean)
        self.matrix.copy_(matrix)
