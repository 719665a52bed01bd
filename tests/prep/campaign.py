"""Long campaigns over prep: their steps, their counts, and a file that notes the finished ones.

A campaign goes on where it stopped: each line of its log is the outcome of one seed. The folder of
the logs is ``TASD_CAMPAIGNS``; without it a campaign begins anew. ``TASD_CAMPAIGN_SECONDS`` ends
one in order before its number is reached.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

DAMAGES = ("flipped", "cut", "spliced", "overwritten", "grown")
Outcome = dict[str, object]


def number_of(name: str, default: int) -> int:
    """The number of seeds of a campaign: ``TASD_KILLS=100`` in place of the default."""
    return int(os.environ.get(name, default))


def campaign(
    folder: Path, name: str, number: int, step: Callable[[int], Iterator[Outcome]]
) -> list[Outcome]:
    """Do the seeds that the log of a campaign lacks; return the outcomes of all that are done.

    A step yields one outcome for each seed from the one that it is given on, as many as it likes.
    """
    folder = Path(os.environ.get("TASD_CAMPAIGNS", folder))
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.jsonl"
    end = time.monotonic() + number_of("TASD_CAMPAIGN_SECONDS", 12 * 3600)
    done = _finished(log)
    with log.open("a", encoding="utf-8") as file:
        while len(done) < number and time.monotonic() < end:
            for outcome in step(len(done)):
                done.append(outcome)
                file.write(json.dumps(outcome) + "\n")
                file.flush()
    print(f"{name}: {len(done):,} of {number:,}", dict(Counter(_kind(o) for o in done)))
    return done


def _finished(log: Path) -> list[Outcome]:
    """Read a log; a last line that a kill cut off is done again."""
    whole = log.read_bytes() if log.exists() else b""
    kept = whole[: whole.rfind(b"\n") + 1]
    if kept != whole:
        log.write_bytes(kept)
    return [json.loads(line) for line in kept.decode().splitlines()]


def _kind(outcome: Outcome) -> str:
    return str(outcome["result"])


def damaged(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Return the kind of a damage and the damaged bytes."""
    kind = chance.choice(DAMAGES)
    a, b = sorted(chance.randrange(len(content)) for _ in range(2))
    if kind == "cut":
        return kind, content[:a]
    if kind == "spliced":
        middle = chance.choice((b"", content[a:b] * 2, bytes(b - a), content[b:] + content[a:b]))
        return kind, content[:a] + middle + content[b:]
    if kind == "grown":
        return kind, content + chance.randbytes(chance.randrange(1, 5000))
    changed = bytearray(content)
    if kind == "overwritten":
        changed[a : a + 64] = chance.randbytes(len(changed[a : a + 64]))
    else:
        for _ in range(chance.choice((1, 4, 40, 400))):
            # Half of them in the header, where they do most.
            most = len(changed) if chance.random() < 0.5 else min(len(changed), 2048)
            changed[chance.randrange(most)] ^= 1 << chance.randrange(8)
    return kind, bytes(changed)
