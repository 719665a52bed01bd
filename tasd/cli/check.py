"""``tasd check``: compare the content of a store with its own hashes and sizes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tasd.cli.say import say, say_json


def check(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    deep: Annotated[bool, typer.Option("--deep", help="Decode every frame as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the faults as JSON.")] = False,
) -> None:
    """Check a store, and name the shard and video of every fault."""
    from prep.check import check_store, summary

    faults = check_store(store, deep=deep)
    if as_json:
        say_json([asdict(fault) for fault in faults], indent=1)
    for fault in faults if not as_json else ():
        say(f"tasd: {fault}", err=True)
    if faults:
        say("delete the shards named here and run the same tasd prep again", err=True)
        raise typer.Exit(1)
    if not as_json:
        say(summary(store, deep=deep))
