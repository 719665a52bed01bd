import os
import subprocess
import sys

import pytest

from prep.limits import Limits, limit_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can do that")


def test_a_process_is_held_to_its_share_and_yields_to_others() -> None:
    import resource

    with subprocess.Popen(["sleep", "60"]) as process:
        limit_process(process.pid, seconds=3, memory_mib=100)
        assert resource.prlimit(process.pid, resource.RLIMIT_DATA)[0] == 100 << 20
        # Threads of one video work side by side, so the clock must be the first to run out.
        assert resource.prlimit(process.pid, resource.RLIMIT_CPU)[0] > 3 * 5
        assert os.sched_getscheduler(process.pid) == os.SCHED_BATCH
        process.kill()


def test_a_process_that_has_ended_is_left_alone() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    limit_process(process.pid, seconds=3, memory_mib=100)


def test_wider_limits_are_those_that_allow_more_of_anything() -> None:
    usual = Limits()
    assert not usual.exceed(usual)
    assert Limits(seconds=61).exceed(usual)
    assert Limits(memory_mib=4096, seconds=1).exceed(usual)
    assert not Limits(seconds=59, memory_mib=64).exceed(usual)
