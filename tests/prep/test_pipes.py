import os
import threading
import time

import pytest

from prep.pipes import drain, pipes


def test_every_pipe_is_read_to_its_end_however_much_comes() -> None:
    taken: list[list[bytes]] = [[], [], []]
    with pipes(3) as (reads, writes):

        def write(end: int, piece: bytes) -> None:
            for _ in range(100):
                os.write(end, piece)
            os.close(end)

        pieces = (b"a" * 10, b"b" * 9000, b"")
        for piece in pieces:
            threading.Thread(target=write, args=(writes.pop(0), piece), daemon=True).start()
        takers = {read: into.append for read, into in zip(reads, taken, strict=True)}
        assert drain(takers, time.monotonic() + 60, full=lambda: False)
    assert [b"".join(parts) for parts in taken] == [piece * 100 for piece in pieces]
    assert all(parts[-1] == b"" for parts in taken)


@pytest.mark.parametrize("talks", [False, True])
def test_neither_silence_nor_a_flood_outlasts_the_deadline(talks: bool) -> None:
    with pipes(1) as (reads, writes):
        stop = threading.Event()

        def flood() -> None:
            while talks and not stop.is_set():
                os.write(writes[0], b"more")

        speaker = threading.Thread(target=flood)
        speaker.start()
        with pytest.raises(TimeoutError):
            drain({reads[0]: len}, time.monotonic() + 0.1, full=lambda: False)
        stop.set()
        os.set_blocking(reads[0], False)
        while speaker.is_alive():
            try:
                os.read(reads[0], 1 << 20)
            except BlockingIOError:
                time.sleep(0.001)
        speaker.join()


def test_enough_is_enough() -> None:
    with pipes(1) as (reads, writes):
        os.write(writes[0], b"some")
        assert not drain({reads[0]: len}, time.monotonic() + 60, full=lambda: True)


def test_no_end_of_a_pipe_is_left_open() -> None:
    before = len(os.listdir("/dev/fd"))
    with pipes(5) as (_, writes):
        os.close(writes.pop())
    assert len(os.listdir("/dev/fd")) == before
