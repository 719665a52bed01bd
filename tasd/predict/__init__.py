"""Labels for a person's own clips, from a trained network and a few clips of each class.

from tasd.predict import FewShotRecognizer

recognizer = FewShotRecognizer.from_run("runs/mine").fit("my-actions")
print(recognizer.predict(["new1.mp4", "new2.mp4"]))
"""

from tasd.predict.answer import NONE_OF_THESE, Answer
from tasd.predict.recognizer import FewShotRecognizer

__all__ = ["NONE_OF_THESE", "Answer", "FewShotRecognizer"]
