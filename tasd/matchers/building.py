"""Matchers by name, with their options checked."""

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError

from tasd.errors import UserError
from tasd.matchers import MATCHERS
from tasd.matchers.base import Matcher
from tasd.registry import pick

__all__ = ["Matcher", "build", "has_weights", "option_names"]

# Arguments that some matchers take from the run; they are no options.
RUN_ARGUMENTS = ("classes", "frames", "level_channels")


def build(
    name: str,
    channels: int,
    *,
    classes: int | None = None,
    frames: int = 8,
    level_channels: tuple[int, ...] | None = None,
    **options: Any,
) -> Matcher:
    """Build the matcher called ``name`` for features of ``channels`` channels.

    classes: number of training classes, for the heads of matchers that classify; None builds
        no such heads.
    frames: number of frames of a video in its features, for matchers whose weights depend on it.
    level_channels: those of the maps of the backbone's stages, the last one's last; None for four
        stages that double them, as in a ResNet.
    options: as the matcher's class documents them.

    Raises `UserError` for an unknown name, an unknown option, a value that the option does not
    take, or too few frames.
    """
    matcher = pick(MATCHERS, name, what="matcher")
    for option, value in options.items():
        options[option] = _checked(name, option, value)
    accepted = inspect.signature(matcher.__init__).parameters
    of_run = {"classes": classes, "frames": frames, "level_channels": level_channels}
    options |= {name: of_run[name] for name in RUN_ARGUMENTS if name in accepted}
    built = matcher(channels, **options)
    if frames < built.fewest_frames:
        raise UserError(
            f"matcher {name!r} needs videos of {built.fewest_frames} frames or more, and the "
            f"backbone gives it {frames}; raise data.frames, or choose another matcher or "
            "cardinalities"
        )
    return built


def has_weights(
    name: str, *, channels: int = 64, frames: int = 8, options: Mapping[str, Any] | None = None
) -> bool:
    """Return True where the matcher has weights of its own. Raises `UserError` as `build`."""
    with torch.device("meta"):
        built = build(name, channels, frames=frames, **(options or {}))
    return any(True for _ in built.parameters())


def option_names(name: str) -> tuple[str, ...]:
    """Return the names of the options of the matcher called ``name``."""
    parameters = inspect.signature(pick(MATCHERS, name, what="matcher").__init__).parameters
    fixed = ("self", "channels", *RUN_ARGUMENTS)
    return tuple(parameter for parameter in parameters if parameter not in fixed)


def _checked(name: str, option: str, value: Any) -> Any:
    """Convert a value to the option's type, so that a list may stand for a tuple."""
    if option not in option_names(name):
        names = ", ".join(option_names(name)) or "none"
        raise UserError(f"matcher {name!r} has no option {option!r}; it has: {names}")
    kind = get_type_hints(MATCHERS[name].__init__, include_extras=True)[option]
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UserError(f"option {option!r} of matcher {name!r} is {value!r}: {reason}") from None
