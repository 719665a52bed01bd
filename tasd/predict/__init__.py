"""Labels for a person's own clips, from a few clips of each class, with or without training.

from tasd.predict import FewShotRecognizer

recognizer = FewShotRecognizer().fit("my-actions")
print(recognizer.predict(["new1.mp4", "new2.mp4"]))
"""

from tasd.predict.answer import NONE_OF_THESE, NOT_READ, Answer, Nearest
from tasd.predict.estimator import ClipEmbedder
from tasd.predict.recognizer import FewShotRecognizer

__all__ = ["NONE_OF_THESE", "NOT_READ", "Answer", "ClipEmbedder", "FewShotRecognizer", "Nearest"]
