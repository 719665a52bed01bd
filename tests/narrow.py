"""Matchers that are narrower than published, where their size is not what is tested."""

import pytest

from tasd.matchers import arn, arn_relation


def narrow_arn(patch: pytest.MonkeyPatch, width: int = 32) -> None:
    """Let ARN correlate fewer channels than 64: a sixteenth of the work of its network."""
    for module in (arn, arn_relation):
        patch.setattr(module, "WIDTH", width)
