"""Joining a group: what goes wrong is told in one line."""

import pytest
import torch.distributed as dist

from tasd.errors import UserError
from tasd.training import distributed

GLOO = (
    "Gloo connectFullMesh failed with [/torch/gloo/transport/tcp/pair.cc:152] timed out "
    "connecting: SO_ERROR: Connection refused, remote=[127.0.1.1]:23445$0"
)


@pytest.fixture
def failing(monkeypatch):
    """Two ranks whose group cannot be made, for a reason given."""
    monkeypatch.setenv("WORLD_SIZE", "2")

    def with_error(error):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(dist, "init_process_group", fail)

    return with_error


def test_a_rank_that_cannot_be_reached_is_told_with_the_way_out(failing):
    failing(RuntimeError(GLOO))
    told = r"rank 0 of 2 cannot reach the other ranks \(Gloo .* with timed out .*GLOO_SOCKET_IFNAME"
    with pytest.raises(UserError, match=told):
        distributed.start("cpu")


def test_ranks_that_do_not_come_are_told(failing):
    failing(dist.DistNetworkError("the client socket has timed out after 60000ms"))
    with pytest.raises(
        UserError, match="rank 0 of 2 waited for the other ranks and they did not come"
    ):
        distributed.start("cpu")


def test_other_failures_are_left_as_they_are(failing):
    failing(RuntimeError("something of our own"))
    with pytest.raises(RuntimeError, match="something of our own"):
        distributed.start("cpu")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[/a b/pair.cc:534] Connection closed by peer [10.0.0.2]:609", "Connection closed by"),
        ("NCCL error in: /a.cpp:12, remote process exited\nLast error:", "NCCL error in: /a.cpp"),
        ("", "RuntimeError"),
    ],
)
def test_a_reason_is_one_line_without_the_place_in_the_sources(said, told):
    line = distributed.reason(RuntimeError(said))
    assert line.startswith(told)
    assert "\n" not in line
