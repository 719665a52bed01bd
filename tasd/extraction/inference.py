"""A network as it is fastest without gradients: batch norms folded, a few clips at a time."""

import copy
import logging
from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasd.backbones.base import Backbone, Pooled
from tasd.device import resolve_precision
from tasd.model import Model

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
PIXELS = 16 * 112 * 112  # at a time: more leave the processor's cache, fewer do not fill its cores


def folds(model: Model, device: torch.device | str) -> bool:
    """Return True where `inference_copy` changes the network, and its features by rounding.

    On a CPU in float32. In bfloat16 folded weights would be rounded once more, and on a GPU batch
    norm takes no time beside the convolutions.
    """
    device = torch.device(device)
    return device.type == "cpu" and resolve_precision(model.precision, device) != "bf16"


def inference_copy(model: Model) -> Model:
    """Return ``model``, in evaluation mode and where it is now, for use without gradients.

    Where `folds` says so, its backbone is a copy with the batch norms folded into the convolutions
    before them, and runs a few clips at a time: their activations fit the processor's cache, and a
    clip's features do not depend on the clips beside it. Encoder, matcher and heads are shared.
    """
    if model.training or not folds(model, model.mean.device):
        return model
    if model.backbone._compiled_call_impl is not None:
        return model
    swift = copy.copy(model)
    swift._modules = {**model._modules, "backbone": FewClips(folded(model.backbone))}
    return swift


def folded(backbone: Backbone) -> Backbone:
    """Return a copy whose batch norms in evaluation mode are part of the convolutions before them.

    A norm stays where something else than one convolution gives its input, where the convolution's
    output is read elsewhere as well, and where the backbone's stages cannot be traced.
    """
    swift = copy.deepcopy(backbone).eval()
    for name, norm_name in list(_pairs(swift)):
        convolution, norm = swift.get_submodule(name), swift.get_submodule(norm_name)
        _put(swift, name, fuse_conv_bn_eval(convolution, norm))  # type: ignore[type-var, arg-type]
        _put(swift, norm_name, nn.Identity())
    return swift


def _pairs(backbone: Backbone) -> Iterator[tuple[str, str]]:
    """Find the convolutions whose output goes into a batch norm alone, by the order of the work."""
    row = nn.Sequential()
    for name in backbone.stages:
        row.add_module(name, getattr(backbone, name))
    modules = dict(row.named_modules())
    try:
        nodes = list(fx.Tracer().trace(row).nodes)
    except Exception as error:  # whatever a network from elsewhere raises when traced
        logging.getLogger(__name__).debug("not traced: %s", error)
        return
    called = [node.target for node in nodes if node.op == "call_module"]
    for node in nodes:
        if node.op != "call_module" or type(modules[node.target]) not in NORMS:
            continue
        before = node.args[0]
        if (
            isinstance(before, fx.Node)
            and before.op == "call_module"
            and type(modules[str(before.target)]) in CONVOLUTIONS
            and len(before.users) == called.count(before.target) == called.count(node.target) == 1
            and before.target not in backbone.taps
            and modules[node.target].track_running_stats
        ):
            yield str(before.target), str(node.target)


def _put(backbone: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(backbone.get_submodule(parent), own, module)


class FewClips(nn.Module):
    """A backbone that runs as many clips at a time as have `PIXELS` pixels, and at least one."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def pooled(self, frames: Float[Tensor, "videos time 3 height width"]) -> Pooled:
        """Compute what `Backbone.pooled` does."""
        return _in_parts(self.backbone.pooled, frames)

    def pooled_levels(
        self, frames: Float[Tensor, "videos time 3 height width"], *, count: int
    ) -> Pooled:
        """Compute what `Backbone.pooled_levels` does."""
        return _in_parts(partial(self.backbone.pooled_levels, count=count), frames)


def _in_parts(
    network: Callable[[Tensor], Pooled], frames: Float[Tensor, "videos time 3 height width"]
) -> Pooled:
    """Run a network on a few clips at a time.

    Where a few are several, a single clip has a copy of itself beside it: the libraries compute
    another order of sums for one clip than for two, the same one for two and for more.
    """
    time, _, height, width = frames.shape[1:]
    together = max(1, PIXELS // (time * height * width))
    parts = list(frames.split(together))
    if together > 1 and len(parts[-1]) == 1:
        parts[-1] = parts[-1].expand(2, -1, -1, -1, -1)
    done = [network(part) for part in parts]
    return Pooled(
        maps=torch.cat([part.maps for part in done])[: len(frames)],
        frames=torch.cat([part.frames for part in done])[: len(frames)],
        levels=tuple(
            torch.cat(level)[: len(frames)]
            for level in zip(*(part.levels for part in done), strict=True)
        ),
    )
