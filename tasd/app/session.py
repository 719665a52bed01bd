"""The session behind the page: classes with examples, questions, and the jobs that serve both."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasd.app.answers import answer_json, windows_json
from tasd.app.engine import Engine
from tasd.app.folder import SessionFolder
from tasd.app.items import ClassItem, Clip, Question
from tasd.app.names import class_name, clip_name
from tasd.app.worker import Worker
from tasd.errors import UserError
from tasd.predict.windows import Windows

MOST_CLASSES, MOST_EXAMPLES, MOST_QUESTIONS = 100, 500, 20


class Session:
    """All that the page shows. Its methods are safe to call from several threads.

    The engine is called only by the worker. change: counts the changes of the examples.
    """

    def __init__(self, engine: Engine, folder: SessionFolder) -> None:
        self.engine, self.folder, self.worker = engine, folder, Worker()
        self.classes: list[ClassItem] = []
        self.questions: list[Question] = []
        self.change = 0
        self._lock = threading.RLock()

    def add_class(self, name: str) -> ClassItem:
        """Make a class without clips. Raises `UserError`."""
        with self._lock:
            if len(self.classes) >= MOST_CLASSES:
                raise UserError(f"there are {MOST_CLASSES} classes, the most that there may be")
            made = ClassItem(self._free(name))
            self.classes.append(made)
            return made

    def rename_class(self, key: str, name: str) -> None:
        """Rename a class. Raises `UserError`."""
        with self._lock:
            found = self.class_of(key)
            found.name = self._free(name, but=found)
            self.change += 1

    def delete_class(self, key: str) -> None:
        """Delete a class and its examples."""
        with self._lock:
            found = self.class_of(key)
            for clip in list(found.clips):
                self.delete_example(clip.id)
            self.classes.remove(found)
            self.change += 1

    def add_example(self, key: str, name: str, path: Path) -> Clip:
        """Add a clip to a class; the worker reads it. Raises `UserError`."""
        with self._lock:
            self.check_room()
            found, clip = self.class_of(key), Clip(clip_name(name), path)
            self.worker.add(lambda: self._read_example(clip))
            found.clips.append(clip)
            return clip

    def delete_example(self, key: str) -> None:
        """Delete an example."""
        with self._lock:
            for each in self.classes:
                for clip in [clip for clip in each.clips if clip.id == key]:
                    each.clips.remove(clip)
                    self._drop(clip)
                    self.change += 1

    def ask(self, name: str, path: Path, windows: Windows | None = None) -> Question:
        """Ask about a clip; the oldest questions make room. Raises `UserError`."""
        with self._lock:
            self.check_askable()
            question = Question(Clip(clip_name(name), path), windows)
            self.worker.add(lambda: self._answer(question))
            self.questions.insert(0, question)
            for old in self.questions[MOST_QUESTIONS:]:
                self.delete_question(old.id)
            return question

    def ask_again(self, key: str) -> None:
        """Answer a question again, from the examples of now. Raises `UserError`."""
        with self._lock:
            self.check_askable()
            question = self.question_of(key)
            self.worker.add(lambda: self._answer(question))

    def correct(self, key: str, class_key: str) -> None:
        """Make the clip of a question an example of a class, and answer again.

        A clip that is an example already moves to the class. Raises `UserError`.
        """
        with self._lock:
            question, chosen = self.question_of(key), self.class_of(class_key)
            if question.clip.state != "ready":
                raise UserError("this clip is not read yet; wait for its answer")
            if question.learnt:
                self.delete_example(question.learnt)
            self.check_room()
            example = Clip(question.clip.name, self.folder.link(question.clip.path))
            self.worker.add(lambda: self._read_example(example, question))
            self.worker.add(lambda: self._answer(question))
            chosen.clips.append(example)
            question.learnt = example.id

    def delete_question(self, key: str) -> None:
        """Forget a question and its clip."""
        with self._lock:
            question = self.question_of(key)
            self.questions.remove(question)
            self._drop(question.clip)

    def class_of(self, key: str) -> ClassItem:
        """Return a class. Raises `UserError` where it is gone."""
        with self._lock:
            for each in self.classes:
                if each.id == key:
                    return each
        raise UserError("this class is gone; reload the page")

    def question_of(self, key: str) -> Question:
        """Return a question. Raises `UserError` where it is gone."""
        with self._lock:
            for each in self.questions:
                if each.id == key:
                    return each
        raise UserError("this question is gone; ask again")

    def check_room(self) -> None:
        """Raise `UserError` where no further example is taken."""
        self.worker.check()
        if sum(1 for _ in self.examples()) >= MOST_EXAMPLES:
            raise UserError(f"there are {MOST_EXAMPLES} examples, the most; delete some")

    def check_askable(self) -> None:
        """Raise `UserError` where there are fewer than two classes to choose from."""
        self.worker.check()
        with self._lock:
            if sum(each.usable for each in self.classes) < 2:
                raise UserError("an answer needs two classes with a clip each; add clips first")

    def examples(self) -> Iterator[tuple[ClassItem, Clip]]:
        """Iterate over all examples with their classes."""
        with self._lock:
            return iter([(each, clip) for each in self.classes for clip in each.clips])

    def as_json(self) -> dict[str, Any]:
        """Return all that the page shows."""
        with self._lock:
            network = self.engine.network.config
            return {
                "left": self.worker.left,
                "frames": self.engine.frames,
                "network": f"{network.network.backbone}, {network.matcher.name}",
                "trained": self.engine.network.network != "backbone",
                "rejects": self.engine.rejects,
                "rejection": self.engine.rejection,
                "classes": [each.as_json() for each in self.classes],
                "questions": [each.as_json(self.change) for each in self.questions],
            }

    def close(self) -> None:
        """Stop the worker and remove the folder."""
        self.worker.close()
        self.folder.close()

    def _free(self, name: str, but: ClassItem | None = None) -> str:
        """Return the name where no other class has it. Raises `UserError`."""
        name = class_name(name)
        if any(e.name.casefold() == name.casefold() for e in self.classes if e is not but):
            raise UserError(f"there is a class {name!r} already; take another name")
        return name

    def _drop(self, clip: Clip) -> None:
        self.folder.remove(clip.path)
        self.folder.remove_pictures(clip.id)

    def _there(self, clip: Clip) -> bool:
        with self._lock:
            items = [each for _, each in self.examples()] + [q.clip for q in self.questions]
            return any(each is clip for each in items)

    def _read_example(self, clip: Clip, asked: Question | None = None) -> None:
        """Job: read an example; the clip of a question has been read."""
        if not self._there(clip):
            return
        if asked is not None and asked.reading is not None and asked.reading.features is not None:
            self.engine.learn(asked.reading, clip.path)
            for number in range(len(asked.clip.seconds)):
                picture = self.folder.picture(asked.id, number)
                if picture.exists():
                    self.folder.picture(clip.id, number).write_bytes(picture.read_bytes())
            clip.seconds, clip.note, clip.state = asked.clip.seconds, asked.clip.note, "ready"
        else:
            found = self._read(clip, None)
            if found is not None and found.features is not None:
                self.engine.learn(found, clip.path)
        with self._lock:
            self.change += 1
        self._use()

    def _read(self, clip: Clip, windows: Windows | None) -> Any:
        """Read a clip and write its thumbnails; the features, or None where it cannot be read."""
        clip.state = "reading"
        try:
            reading = self.engine.read(clip.path, windows)
        except UserError as error:
            clip.state, clip.problem = "failed", str(error)
            return None
        except Exception:
            clip.state, clip.problem = "failed", "it cannot be read"
            raise
        found = reading.clip
        clip.problem, clip.note = found.problem.replace(str(clip.path), clip.name), found.note
        if found.features is not None and self._there(clip):
            self.folder.write_pictures(clip.id, reading.pictures)
            clip.seconds = tuple(picture.second for picture in reading.pictures)
            clip.state = "ready"
            if not self._there(clip):  # deleted meanwhile
                self.folder.remove_pictures(clip.id)
        else:
            clip.state = "failed"
        return found if found.features is not None else None

    def _use(self) -> tuple[int, dict[Path, Clip], dict[str, str]]:
        """Hand the examples of now to the engine."""
        with self._lock:
            ready = [(each, clip) for each, clip in self.examples() if clip.state == "ready"]
            change = self.change
            names = {each.name: each.id for each, _ in ready}
        self.engine.use({clip.path: each.name for each, clip in ready})
        return change, {clip.path: clip for _, clip in ready}, names

    def _answer(self, question: Question) -> None:
        """Job: answer a question."""
        clip = question.clip
        if not self._there(clip):
            return
        found = question.reading or self._read(clip, question.windows)
        if found is None:
            return
        change, examples, names = self._use()
        if len(names) < 2:
            question.answer, question.reading = None, found if question.windows is None else None
            clip.note = "an answer needs two classes with a clip that can be read"
            return
        told = self.engine.answers(found)
        if question.windows is None:
            question.reading = found
            question.answer = answer_json(told[0], names, examples)
        else:
            question.answer = windows_json(told, names, examples)
        question.change = change
