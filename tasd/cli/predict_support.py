"""``tasd predict --learn`` and ``--forget``: examples come into a support, and leave it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasd.cli.say import say
from tasd.foreign import remark

if TYPE_CHECKING:
    from tasd.predict.labeller import Labeller


def check_change(
    learn: str | None, forget: list[str], clips: list[Path], others: dict[str, Any]
) -> bool:
    """Return True where the support is to be changed. Raises `UserError` for idle options.

    others: the values of the options that label clips, by their names.
    """
    from tasd.errors import UserError
    from tasd.predict.support_folder import check_class

    if learn is None and not forget:
        return False
    name = "--forget" if learn is None else "--learn"
    if learn is not None and forget:
        raise UserError("--learn and --forget are two changes; make one after the other")
    for option, value in others.items():
        if value:
            raise UserError(f"{option} labels clips, and {name} changes the support; leave out one")
    if learn is not None:
        check_class(learn)
        if not clips:
            raise UserError(f"no clip to learn; name the clips of {learn!r} after the options")
    elif clips:
        raise UserError(f"--forget names what leaves the support itself; leave out {clips[0]}")
    return True


def learn_class(recognizer: "Labeller", support: Path, name: str, clips: list[Path]) -> None:
    """Make clips examples of a class, those that can be read; print what changed."""
    from tasd.errors import UserError
    from tasd.predict.support_file import is_support_file
    from tasd.predict.support_folder import learn_clips

    if is_support_file(support):
        if support.exists():
            recognizer.partial_fit(support)
        before = _classes(recognizer)
        recognizer.partial_fit({name: [clip.absolute() for clip in clips]})
        for path, problem in recognizer.problems_.items():
            remark(f"not learnt: {path}: {problem}")
        recognizer.save_support(support)
        for clip in clips:
            if str(clip.absolute()) not in recognizer.problems_:
                was = before.get(clip.absolute())
                moved = f", no longer of {was}" if was not in (None, name) else ""
                say(f"{clip} is an example of {name}{moved}")
        return
    readable = []
    for found in recognizer.features_of(clips, keep=True):
        if found.features is None:
            remark(f"not learnt: {found.path}: {found.problem}")
        else:
            readable.append(found.path)
    if not readable:
        raise UserError(f"no clip can be learnt as {name!r}; name clips that can be read")
    for line in learn_clips(support, name, readable):
        say(line)


def forget_all(recognizer: "Labeller", support: Path, names: list[str]) -> None:
    """Remove clips or classes from a support; print what changed."""
    from tasd.errors import UserError
    from tasd.predict.support_file import is_support_file
    from tasd.predict.support_folder import forget_example

    if not is_support_file(support):
        if not support.is_dir():
            raise UserError(f"the support {support} is not a folder; name the one to change")
        for name in names:
            say(forget_example(support, name))
        return
    recognizer.partial_fit(support)
    for name in names:
        if name in recognizer.support_:
            recognizer.forget(classes=[name])
        else:
            recognizer.forget(clips=[name])
        if not len(recognizer.classes_):
            raise UserError(f"nothing would be left in {support}; delete the file if you mean that")
        say(f"{name} is no longer in {support}")
    recognizer.save_support(support)


def _classes(recognizer: "Labeller") -> dict[Path, str]:
    if not recognizer.__sklearn_is_fitted__():
        return {}
    support = recognizer.support_
    return {clip.absolute(): name for name, clips in support.items() for clip in clips}
