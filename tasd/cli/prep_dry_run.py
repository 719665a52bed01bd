"""The words of ``tasd prep --dry-run``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasd.cli.say import say, say_json

if TYPE_CHECKING:
    from prep.rehearsal import Rehearsal
    from prep.shard import PrepSettings
    from prep.sources import Sources

NAMES = 5  # of classes in a line


def say_rehearsal(
    sources: "Sources", settings: "PrepSettings", *, workers: int, as_json: bool
) -> None:
    """Try a few videos and print what the prep will make. Raises `UserError`."""
    import os

    from prep.rehearsal import nearest, rehearse
    from tasd.errors import UserError

    if not os.access(nearest(settings.store), os.W_OK | os.X_OK):
        raise UserError(
            f"{nearest(settings.store)} cannot be written by you; choose another place with --store"
        )
    found = rehearse(sources, settings, workers=workers)
    if as_json:
        say_json(found.as_json(), indent=1)
    else:
        say("\n".join(f"{name:<12}{text}" for name, text in _rows(found)))


def _rows(found: "Rehearsal") -> Iterator[tuple[str, str]]:
    from prep.progress import megabytes
    from tasd.progress import counted

    yield "dry run", "nothing is written; a few videos were decoded"
    yield "store", f"{found.store}"
    if found.archives:
        size = f"{counted(len(found.archives), 'archive')} below {found.root}"
        yield "archives", f"{size}; their videos are known only when they are read: no estimate"
        return
    kept = f", {found.kept:,} of them in the store already" if found.kept else ""
    yield (
        "videos",
        f"{counted(found.videos, 'video')} in {counted(len(found.classes), 'class')}, "
        f"{megabytes(found.source_bytes)}{kept}",
    )
    splits = ", ".join(f"{name} {count:,}" for name, count in found.splits.items())
    yield "classes", splits
    left_out = [f"{kind}: {count:,}" for kind, count in found.left_out.items()]
    left_out += [f"of the list, not found: {found.missing:,}"] if found.missing else []
    yield "left out", "; ".join(left_out) or "nothing"
    for example in found.examples:
        yield "", example
    for name, few in found.too_few.items():
        if few:
            more = f" and {len(few) - NAMES} more" if len(few) > NAMES else ""
            yield "too few", f"for {name}: {', '.join(few[:NAMES])}{more}"
    yield from _costs(found)


def _costs(found: "Rehearsal") -> Iterator[tuple[str, str]]:
    from prep.progress import megabytes
    from tasd.progress import counted, duration

    sample = found.sample
    lost = f", {sample.lost} of them unreadable" if sample.lost else ""
    yield "tried", f"{counted(sample.videos, 'video')}, {sample.seconds:.1f} s{lost}"
    for remark in sample.remarks[:3]:
        yield "", f"{remark.path}: {remark.reason}"
    yield (
        "time",
        f"about {duration(found.seconds)} ({found.seconds / 3600:.2f} hours) on "
        f"{counted(found.workers, 'worker')}",
    )
    room = f"{megabytes(found.free)} are free"
    if found.free < found.store_bytes:
        room += "; that is too little: make room, or choose another place with --store"
    yield "disk", f"about {megabytes(found.store_bytes)}; {room}"
