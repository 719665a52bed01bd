"""The network of student and teacher: pixels -> A and F -> scores, projection, relation."""

import copy

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from tasd import backbones
from tasd.backbones import weights
from tasd.backbones.temporal import TemporalEncoder
from tasd.config import Config, DistillOptions, NetworkOptions
from tasd.device import PrecisionChoice, resolve_precision
from tasd.errors import UserError
from tasd.losses.distill import ProjectionHead
from tasd.losses.relation import GloRe
from tasd.matchers import build as build_matcher
from tasd.matchers.base import Matcher
from tasd.types import Clips, Features, Normalisation


class Model(nn.Module):
    """Backbone, temporal encoder, matcher, and the two heads that distillation compares.

    projection, relation: the heads of Eq. 2 and Eq. 11, None where their term is off.
    normalisation: of the pixels, as the backbone's weights expect it; by default ImageNet's.
    precision: bf16 or float32 inside, or "auto" for what suits the device.

    Everything here is averaged into the teacher by Eq. 1. The parts of the student alone are in
    `tasd.training.learner`. `build_model` makes one from a config.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: backbones.Backbone,
        encoder: TemporalEncoder,
        matcher: Matcher,
        *,
        projection: ProjectionHead | None = None,
        relation: GloRe | None = None,
        normalisation: Normalisation | None = None,
        precision: PrecisionChoice = "auto",
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        if channels_last and not backbone.clips:
            backbone = backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.backbone, self.encoder, self.matcher = backbone, encoder, matcher
        self.projection, self.relation = projection, relation
        self.precision: PrecisionChoice = precision
        pixels = normalisation or Normalisation()  # ImageNet's
        self.register_buffer("mean", 255 * torch.tensor(pixels.mean))
        self.register_buffer("std", 255 * torch.tensor(pixels.std))

    def forward(self, frames: Clips) -> Features:
        """Compute A and F of some clips: inside in `precision`, F in float32.

        Cached features give F alone, without maps.
        """
        half = resolve_precision(self.precision, frames.device) == "bf16"
        with torch.autocast(frames.device.type, dtype=torch.bfloat16, enabled=half):
            if frames.ndim == 3:
                return Features(frames=self.encoder(frames).float())
            # Channels stand last in memory already: the permutation costs no copy.
            seen = self.backbone.pooled(self.normalised(frames).permute(0, 1, 4, 2, 3))
            return Features(frames=self.encoder(seen.frames).float(), maps=seen.maps)

    def normalised(
        self, frames: UInt8[Tensor, "videos time height width 3"]
    ) -> Float[Tensor, "videos time height width 3"]:
        """Subtract mean and divide by deviation, a row of pixels at a time: three times as fast."""
        width = frames.shape[3]
        rows = frames.flatten(3).float()
        rows = rows.sub_(self.mean.repeat(width)).mul_((1 / self.std).repeat(width))
        return rows.view(frames.shape)

    def project(
        self, frames: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos out_dim"]:
        """Project each video's mean frame-level feature: the z of Eq. 2."""
        assert self.projection is not None, "the config has distill.ce = 0"
        projected: Tensor = self.projection(frames.mean(dim=1))
        return projected

    def relate(
        self,
        maps: Float[Tensor, "videos channels time rows columns"],
        *,
        own_statistics: bool = False,
    ) -> Float[Tensor, "frames channels rows columns"]:
        """Apply the GloRe unit frame by frame: the phi of Eq. 11.

        own_statistics: normalise by these frames in eval mode too.
        """
        assert self.relation is not None, "the config has distill.pr = 0"
        related: Tensor = self.relation(
            maps.transpose(1, 2).flatten(0, 1), own_statistics=own_statistics
        )
        return related


def build_model(config: Config, *, classes: int, initialise: bool = True) -> Model:
    """Make the network that ``config`` describes, with its pretrained weights.

    classes: the number of training classes, for matchers with heads of their own.
    initialise: False leaves all weights random, for a checkpoint to fill.

    Raises `UserError`.
    """
    network, distill = config.network, config.distill
    backbone, normalisation = _backbone(network, dataset=config.dataset, initialise=initialise)
    backbone.check_crop(config.data.crop)
    channels = backbone.channels
    encoder = TemporalEncoder(
        channels,
        depth=network.depth,
        heads=network.heads,
        feedforward=network.feedforward,
        dropout=network.dropout,
    )
    matcher = build_matcher(
        config.matcher.name,
        channels,
        classes=classes,
        frames=config.data.frames,
        **config.matcher.options,
    )
    if network.backbone == backbones.CACHED and (matcher.needs_maps or matcher.needs_pixels):
        raise UserError(
            f"--matcher {config.matcher.name} reads feature maps or pixels, and --features "
            "trains on pooled features; choose another matcher, or train on frames"
        )
    return Model(
        backbone,
        encoder,
        matcher,
        projection=_projection(distill, channels) if distill.ce else None,
        relation=_relation(distill, backbone, crop=config.data.crop) if distill.pr else None,
        normalisation=normalisation,
        precision=config.training.precision,
        channels_last=config.training.channels_last,
    )


def _backbone(
    network: NetworkOptions, *, dataset: str, initialise: bool
) -> tuple[backbones.Backbone, Normalisation]:
    backbone = backbones.build(network.backbone, channels=network.channels)
    backbone.batchnorm_frozen = weights.frozen(network.weights, network.batchnorm)
    backbone.gradient_checkpointing = network.gradient_checkpointing
    if network.pooling == "mean":
        if not backbone.own_pooling:
            raise UserError(
                f"network.pooling = 'mean' has no effect on {network.backbone}, which has no "
                "other; leave it out"
            )
        backbone.own_pooling = False
    normalisation = Normalisation()
    if initialise:
        _refuse_overlap(network, backbone, dataset=dataset)
        normalisation = weights.load(backbone, network.weights, batchnorm=network.batchnorm)
    if network.depth and backbone.channels % network.heads:
        raise UserError(
            f"network.heads = {network.heads} does not divide the {backbone.channels} channels of "
            f"{network.backbone}; use 8"
        )
    return backbone, normalisation


def _projection(distill: DistillOptions, channels: int) -> ProjectionHead:
    return ProjectionHead(
        channels, hidden=distill.hidden, bottleneck=distill.bottleneck, out_dim=distill.out_dim
    )


def _relation(distill: DistillOptions, backbone: backbones.Backbone, *, crop: int) -> GloRe:
    positions = None
    if distill.projection == "fixed":  # the matrix M has a row for every position of the map
        with torch.no_grad():
            maps = copy.deepcopy(backbone).eval()(torch.zeros(1, 1, 3, crop, crop))
        positions = maps.shape[-2] * maps.shape[-1]
    return GloRe(
        backbone.channels,
        states=distill.states,
        nodes=distill.nodes,
        projection=distill.projection,
        positions=positions,
    )


def _refuse_overlap(network: NetworkOptions, backbone: backbones.Backbone, *, dataset: str) -> None:
    """Refuse weights that have seen the test classes: the result would be no few-shot result."""
    seen = weights.saw_tests(backbone, network.weights, dataset=dataset)
    if seen and not network.allow_pretrained_overlap:
        raise UserError(
            f"--weights {network.weights}: pretrained weights of {network.backbone} have seen all "
            "classes of Kinetics-400, the test classes of this data set among them; train from "
            "scratch with --weights none, or accept it with --allow-pretrained-overlap, which "
            "marks every result"
        )
