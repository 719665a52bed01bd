"""Checks of what a config asks of its matcher."""

from collections.abc import Iterable

from tasd.errors import UserError
from tasd.matchers.base import Matcher


def check_losses(name: str, matcher: Matcher, weighed: Iterable[str]) -> None:
    """Raise `UserError` for weights of losses that the matcher does not have."""
    unknown = set(weighed) - set(matcher.loss_names)
    if unknown:
        raise UserError(
            f"matcher {name!r} has no loss {min(unknown)!r} to weigh in matcher.losses; it has: "
            f"{', '.join(matcher.loss_names) or 'none'}"
        )


def check_cached(name: str, matcher: Matcher) -> None:
    """Raise `UserError` where the matcher reads more than cached features hold."""
    if matcher.needs_maps or matcher.needs_pixels or matcher.levels:
        without = matcher.without_maps and f", or {matcher.without_maps}"
        raise UserError(
            f"--matcher {name} reads feature maps or pixels, and --features trains on pooled "
            f"features; choose another matcher{without}, or train on frames"
        )
