"""Labels for a person's own clips, from a few clips of each class, with or without training.

from tasd.predict import FewShotRecognizer

recognizer = FewShotRecognizer().fit("my-actions")
print(recognizer.predict(["new1.mp4", "new2.mp4"]))

What meets the contract of scikit-learn is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasd.predict.answer import NONE_OF_THESE, NOT_READ, Answer, Nearest

if TYPE_CHECKING:
    from tasd.predict.embedder import ClipEmbedder
    from tasd.predict.recognizer import FewShotRecognizer

__all__ = ["NONE_OF_THESE", "NOT_READ", "Answer", "ClipEmbedder", "FewShotRecognizer", "Nearest"]
_ESTIMATORS = {"ClipEmbedder": "embedder", "FewShotRecognizer": "recognizer"}


def __getattr__(name: str) -> Any:
    """Return an estimator, when it is first asked for."""
    if name in _ESTIMATORS:
        return getattr(import_module(f"tasd.predict.{_ESTIMATORS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
