"""The network of student and teacher: pixels -> A and F -> scores, projection, relation."""

import copy
from dataclasses import replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from tasd import backbones
from tasd.backbones import weights
from tasd.backbones.base import still_statistics
from tasd.backbones.temporal import TemporalEncoder
from tasd.backbones.wccn import WithinClassNormalisation
from tasd.config import Config, DataOptions, DistillOptions, NetworkOptions
from tasd.device import PrecisionChoice, outside_autocast, resolve_precision, widened
from tasd.errors import Mistakes, UserError
from tasd.losses.distill import ProjectionHead
from tasd.losses.relation import GloRe
from tasd.matchers import MATCHERS
from tasd.matchers import build as build_matcher
from tasd.matchers.base import Matcher
from tasd.matchers.checks import check_cached, check_losses
from tasd.types import Clips, Features, Normalisation

TRIED_CHANNELS = 64


class Model(nn.Module):
    """Backbone, temporal encoder, matcher, and the two heads that distillation compares.

    wccn: of the pooled frames, before the encoder; None for none.
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
        wccn: WithinClassNormalisation | None = None,
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
        self.wccn = wccn
        self.projection, self.relation = projection, relation
        self.precision: PrecisionChoice = precision
        pixels = normalisation or Normalisation()  # ImageNet's
        self.register_buffer("mean", 255 * torch.tensor(pixels.mean))
        self.register_buffer("std", 255 * torch.tensor(pixels.std))

    def forward(self, frames: Clips, *, levels: int = 0) -> Features:
        """Compute A and F of some clips: inside in `precision`, F in float32.

        levels: also give the maps of that many of the backbone's last stages.

        Cached features give F alone, without maps.
        """
        half = resolve_precision(self.precision, frames.device) == "bf16"
        with torch.autocast(frames.device.type, dtype=torch.bfloat16, enabled=half):
            if frames.ndim == 3:
                return Features(frames=self.encoded(frames))
            # Channels stand last in memory already: the permutation costs no copy.
            pixels = self.normalised(frames).permute(0, 1, 4, 2, 3)
            seen = (
                self.backbone.pooled_levels(pixels, count=levels)
                if levels
                else self.backbone.pooled(pixels)
            )
            return Features(self.encoded(seen.frames), seen.maps, seen.levels)

    def encoded(
        self, frames: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos time channels"]:
        """Compute F, in float32, from the backbone's pooled frames."""
        if self.wccn is not None:
            frames = self.wccn(frames)
        encoded: Tensor = self.encoder(frames)
        return encoded.float()

    def condensed(self, frames: Clips) -> Features:
        """Compute the features as they are kept: the matcher folds stages that it reads into F."""
        if not self.matcher.levels:
            return self(frames)  # type: ignore[no-any-return]
        features: Features = self(frames, levels=self.matcher.levels)
        with outside_autocast(features.frames):
            wide = tuple(map(widened, features.levels))
            return self.matcher.condense(replace(features, levels=wide))

    def encode(
        self, pixels: Float[Tensor, "videos time 3 rows columns"]
    ) -> Float[Tensor, "videos channels steps height width"]:
        """Compute A of normalised pixels, changed ones as a rule, in `precision`.

        Live BatchNorm normalises by these videos' own statistics and does not move the running
        ones, which stay those of unchanged videos. It costs as much as `forward`.
        """
        half = resolve_precision(self.precision, pixels.device) == "bf16"
        with (
            torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=half),
            still_statistics(self.backbone),
        ):
            maps: Tensor = self.backbone(pixels)
            return maps

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
    if initialise:  # a checkpoint describes parts that were checked before
        check_parts(config)
    network, distill = config.network, config.distill
    backbone, normalisation = _backbone(network, dataset=config.dataset, initialise=initialise)
    channels, steps = backbone.channels, backbone.steps(config.data.frames)
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
        frames=steps,
        level_channels=backbone.level_channels,
        **config.matcher.options,
    )
    return Model(
        backbone,
        encoder,
        matcher,
        wccn=None if network.wccn is None else WithinClassNormalisation(channels),
        projection=_projection(distill, channels) if distill.ce else None,
        relation=_relation(distill, backbone, data=config.data) if distill.pr else None,
        normalisation=normalisation,
        precision=config.training.precision,
        channels_last=config.training.channels_last,
    )


def check_parts(config: Config) -> None:
    """Raise `UserError` for all that is wrong with backbone, weights and matcher, told together.

    Nothing is downloaded and no memory taken. What only the weights themselves show is left to
    `build_model`.
    """
    network = config.network
    channels = network.channels or TRIED_CHANNELS  # of a backbone that is not known
    with Mistakes() as mistakes:
        backbone = None
        if network.backbone != backbones.CACHED:
            backbone = mistakes.of(backbones.described, network.backbone)
        if backbone is not None:
            channels = backbone.channels
            mistakes.of(weights.check, backbone, network.weights)
            mistakes.of(weights.refuse_overlap, backbone, network, dataset=config.dataset)
            mistakes.of(backbone.check_crop, config.data.crop)
            mistakes.of(_check_heads, network, channels)
        mistakes.of(weights.frozen, network.weights, network.batchnorm)
        mistakes.of(_check_matcher, config, channels, backbone)


def _check_matcher(config: Config, channels: int, backbone: backbones.Backbone | None) -> None:
    """Raise `UserError` for a wrong matcher, or wrong options or losses of it."""
    name, options = config.matcher.name, config.matcher.options
    frames = config.data.frames if backbone is None else backbone.steps(config.data.frames)
    if backbone is not None and name in MATCHERS:
        _check_levels(name, config.network.backbone, backbone)
    with torch.device("meta"):
        matcher = build_matcher(
            name,
            channels,
            classes=2,
            frames=frames,
            level_channels=None if backbone is None else backbone.level_channels,
            **options,
        )
    if config.network.backbone == backbones.CACHED:
        check_cached(name, matcher)
    check_losses(name, matcher, config.matcher.losses)


def _check_levels(name: str, network: str, backbone: backbones.Backbone) -> None:
    """Refuse a matcher of several stages on a backbone that gives its last map alone."""
    levels = MATCHERS[name].levels
    if levels < 2 or backbone.taps:
        return
    there_are = [each for each in backbones.BACKBONES if backbones.described(each).taps]
    raise UserError(
        f"--matcher {name} reads the maps of the backbone's last {levels} stages, and "
        f"--backbone {network} gives the last one alone; choose one of {', '.join(there_are)}, or "
        "another matcher"
    )


def _check_heads(network: NetworkOptions, channels: int) -> None:
    if network.depth and channels % network.heads:
        raise UserError(
            f"network.heads = {network.heads} does not divide the {channels} channels of "
            f"{network.backbone}; use 8"
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
        normalisation = weights.load(backbone, network.weights, batchnorm=network.batchnorm)
    return backbone, normalisation


def _projection(distill: DistillOptions, channels: int) -> ProjectionHead:
    return ProjectionHead(
        channels, hidden=distill.hidden, bottleneck=distill.bottleneck, out_dim=distill.out_dim
    )


def _relation(distill: DistillOptions, backbone: backbones.Backbone, *, data: DataOptions) -> GloRe:
    positions = None
    if distill.projection == "fixed":  # the matrix M has a row for every position of the map
        with torch.no_grad():
            frames = data.frames if backbone.clips else 1
            clip = torch.zeros(1, frames, 3, data.crop, data.crop)
            maps = copy.deepcopy(backbone).eval()(clip)
        positions = maps.shape[-2] * maps.shape[-1]
    return GloRe(
        backbone.channels,
        states=distill.states,
        nodes=distill.nodes,
        projection=distill.projection,
        positions=positions,
    )
