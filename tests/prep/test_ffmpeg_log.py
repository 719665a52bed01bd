import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prep.ffmpeg_log import FfmpegLog, frame_lines

TALK = b"""[info] Input #0, avi, from 'file:a [error] b.avi':
[mpeg4 @ 0x55bcf2249200] [error] ac-tex damaged at 9 10
[vist#0:0/mpeg4 @ 0x55bc] [dec:mpeg4 @ 0x5566] [error] Error submitting packet: Invalid data
[in#0/avi @ 0x55bcf2229040] [verbose]   Input stream #0:0 (video): 9 packets; 8 frames decoded; 0
[in#1/avi @ 0x55bcf2229040] [verbose]   Input stream #1:1 (video): 75 packets; 74 frames decoded
[in#1/avi @ 0x55bcf2229040] [verbose]   Input stream #1:0 (audio): 75 packets; 70 frames decoded
[fatal] Stream map '' matches no streams.
[error] Error opening output files: Invalid argument
"""


@given(cuts=st.lists(st.integers(0, len(TALK)), max_size=6).map(sorted))
def test_it_does_not_matter_in_which_pieces_ffmpeg_speaks(cuts: list[int]) -> None:
    log = FfmpegLog()
    for start, stop in zip([0, *cuts], [*cuts, len(TALK)], strict=True):
        if start < stop:
            log.feed(TALK[start:stop])
    log.feed(b"")
    assert log.decoded == {0: 8, 1: 74}
    assert log.complaints == 4
    assert log.complaint == "ac-tex damaged at 9 10"
    assert log.cause == "it has no video stream"


def test_the_addresses_of_a_run_are_left_out() -> None:
    log = FfmpegLog()
    log.feed(b"[h264 @ 0x55bcf2249200] [error] Invalid NAL unit size (-1 > 551).\n")
    assert log.complaint == "Invalid NAL unit size (-1 > 551)."
    assert log.complaints == 1


@pytest.mark.parametrize("error", ["Cannot allocate memory", "Resource temporarily unavailable"])
def test_what_no_memory_means_is_said_with_the_way_out(error: str) -> None:
    log = FfmpegLog()
    log.feed(f"[error] Terminating thread with return code -11 ({error})\n".encode())
    assert log.cause == "decoding it takes more memory than prep allows; see --memory-mib"


def test_a_flood_of_words_without_an_end_is_not_kept() -> None:
    log = FfmpegLog()
    for _ in range(1000):
        log.feed(b"x" * 10_000)
    assert len(log._unfinished) <= 10_000


def test_times_are_ticks_times_their_length() -> None:
    numbers, times = frame_lines(b"3 1536 1/12800 1536 1/12800\n11 5632 1/12800 5632 1/12800\n")
    assert numbers == [3, 11]
    assert times == pytest.approx([0.12, 0.44])


def test_a_time_that_no_one_knows_is_not_a_number() -> None:
    _, times = frame_lines(f"0 {-(2**63)} 1/25 {-(2**63)} 1/25\n".encode())
    assert math.isnan(times[0])
