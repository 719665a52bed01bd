"""``tasd app``: a page on this machine that learns classes from a few clips and labels others."""

from pathlib import Path
from typing import Annotated

import typer

from tasd.cli.options import (
    BackboneOption,
    BareMatcherOption,
    ChoiceOption,
    DeviceOption,
    RunStoreOption,
    WeightsOption,
    device_called,
)
from tasd.cli.say import say
from tasd.errors import Mistakes


def serve(
    run: ChoiceOption = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    matcher: BareMatcherOption = None,
    support: Annotated[
        Path | None,
        typer.Option(help="Begin with the clips of this folder <class>/<clips>; it is only read."),
    ] = None,
    store: RunStoreOption = None,
    device: DeviceOption = "auto",
    host: Annotated[
        str, typer.Option(help="Address to serve on; beyond this machine a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes any that is free.")] = 7860,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Serve a page that labels clips by your examples.

    The page fetches nothing from other hosts, and no clip leaves this machine. What was added on
    it is gone at the end; the page exports it as a folder for --support.
    """
    _check_installed()
    from tasd.app.engine import Engine
    from tasd.app.examples import load_folder
    from tasd.app.folder import SessionFolder
    from tasd.app.serve import bind
    from tasd.app.serve import serve as run_server
    from tasd.app.session import Session
    from tasd.predict.choice import choose
    from tasd.predict.reading import check_support
    from tasd.predict.untrained import check_options

    with Mistakes() as mistakes:
        mistakes.of(device_called, device)
        if backbone is not None:
            mistakes.of(check_options, backbone, weights=weights or "imagenet", matcher=matcher)
        if support is not None:
            mistakes.of(check_support, support)
    bound, allowed = bind(host, port)
    chosen = choose(run=run, backbone=backbone, weights=weights, matcher=matcher, store=store)
    if chosen.reason:
        say(chosen.reason, err=True)
    engine = Engine(chosen, device=device, store=store)
    session = Session(engine, SessionFolder())
    try:
        if support is not None:
            for path, problem in load_folder(session, support).items():
                say(f"left out of the support: {path}: {problem}", err=True)
        code = run_server(session, bound, allowed, open_page=open_page, say=say)
    finally:
        session.close()
    raise typer.Exit(code)


def _check_installed() -> None:
    """Raise `UserError` where the extra of the page is not installed."""
    from importlib.util import find_spec

    from tasd.errors import UserError

    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"tasd app needs {' and '.join(missing)}; install with: pip install 'tasd[app]'"
        )
