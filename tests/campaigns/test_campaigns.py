"""Campaigns of kills and of commands at once, each in a process of its own: `make test-long`.

$TASD_CAMPAIGN names a folder in which a campaign that was stopped goes on; $TASD_KILLS,
$TASD_COMMAND_KILLS and $TASD_PAIRS are the numbers of cases.
"""

import subprocess
import sys

import pytest

from tests.campaigns.log import CampaignLog, folder_of, number_of
from tests.runs import environment


def run(name: str, folder, count: int) -> list[dict]:
    """Run a campaign; it has taken no step of training before its first fork."""
    words = [sys.executable, "-m", f"tests.campaigns.{name}", str(folder), str(count)]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = CampaignLog(folder, name.replace("_", "-")).lines
    assert len(lines) >= count
    return lines


pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(6 * 3600),
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and counts processor time"),
]


def test_a_training_killed_anywhere_is_resumed_to_the_bit(tmp_path):
    lines = run("kill_training", folder_of(tmp_path), number_of("KILLS", 200))
    hit = sum(code != 0 for line in lines for code, *_ in line["deaths"])
    assert hit > len(lines) / 2


def test_a_command_killed_anywhere_gives_the_same_when_it_is_run_again(tmp_path):
    lines = run("kill_commands", folder_of(tmp_path), number_of("COMMAND_KILLS", 50))
    assert sum(line["code"] != 0 for line in lines) > len(lines) / 2


def test_two_commands_at_once_on_one_run_do_not_mix(tmp_path):
    run("pairs", folder_of(tmp_path), number_of("PAIRS", 20))
