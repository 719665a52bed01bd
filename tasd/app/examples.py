"""Clips that the session begins with: a folder of a person's own, or those that ship with tasd."""

from pathlib import Path

from tasd.app.session import Session
from tasd.demo.real import CLIPS
from tasd.errors import UserError
from tasd.predict.support import support_clips

ASKED = 3  # of the clips that ship


def load_folder(session: Session, folder: Path) -> dict[str, str]:
    """Add the clips of a folder ``<class>/<clips>``; the files stay where they are, unchanged.

    Returns the reason for each clip that is left out. Raises `UserError`.
    """
    clips, problems = support_clips(folder, None)
    for name, paths in clips.items():
        made = session.add_class(name)
        for path in paths:
            if path.is_file():
                session.add_example(made.id, path.name, path.absolute())
            else:
                problems[str(path)] = "it is a folder of frames, and this page takes files"
    return problems


def load_examples(session: Session) -> int:
    """Add the shipped clips of exercises, and ask about a few; return their number.

    Raises `UserError` where there are classes already.
    """
    if session.classes:
        raise UserError("the example clips are for an empty page; delete your classes first")
    load_folder(session, CLIPS / "support")
    asked = sorted((CLIPS / "queries").glob("*/*.mp4"))[:: 10 // ASKED][:ASKED]
    for path in asked:
        session.ask(path.name, session.folder.link(path))
    return sum(1 for _ in session.examples()) + len(asked)
