"""A visit without a browser: classes, questions, corrections, timelines and the export."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tasd.app.examples import load_folder
from tasd.app.items import Clip
from tasd.predict import FewShotRecognizer
from tasd.predict.choice import Choice
from tasd.predict.support import support_clips
from tasd.predict.windows import Windows


def test_a_question_is_answered_with_the_nearest_example(visitor, two, clips):
    answer = visitor.upload("/api/questions", clips / "h264_forty.mp4", "mine.mp4")
    assert answer.status_code == 200
    state = visitor.state()
    (question,) = state["questions"]
    assert question["answer"]["class"] == two["jumping"]
    assert sum(score["share"] for score in question["answer"]["scores"]) == pytest.approx(1)
    assert question["answer"]["nearest"]["id"] == state["classes"][1]["clips"][0]["id"]
    assert len(question["seconds"]) == 8
    assert not question["old"]


def test_the_scores_are_those_of_the_recogniser(engine, network, clips):
    examples = {clips / "mpeg4.avi": "b", clips / "vp9.webm": "a", clips / "h264_forty.mp4": "a"}
    for path in examples:
        engine.learn(engine.read(path).clip, path)
    engine.use(examples)
    (told,) = engine.answers(engine.read(clips / "wide_pixels.mp4").clip)
    named = Choice(network).parameters()
    recognizer = FewShotRecognizer(**named, crop=64, device="cpu", cache=False)
    recognizer.fit(list(examples), list(examples.values()))
    (answer,) = recognizer.answers([clips / "wide_pixels.mp4"])
    assert dict(told.scores) == pytest.approx(dict(answer.scores))


def test_examples_come_and_go_without_a_trace(engine, clips):
    paths = [clips / name for name in ("mpeg4.avi", "vp9.webm", "h264_forty.mp4")]
    asked = engine.read(clips / "wide_pixels.mp4").clip

    def scores(examples):
        for path in examples:
            engine.learn(engine.read(path).clip, path)
        engine.use(examples)
        return dict(engine.answers(asked)[0].scores)

    fresh = scores({paths[0]: "a", paths[1]: "b"})
    scores({paths[0]: "a", paths[1]: "b", paths[2]: "c"})
    scores({paths[0]: "b", paths[1]: "a", paths[2]: "a"})
    assert scores({paths[0]: "a", paths[1]: "b"}) == pytest.approx(fresh)
    assert set(engine._recognizer.known) == set(paths[:2])


def test_the_thumbnails_are_the_very_frames_that_the_network_reads(engine, clips, monkeypatch):
    seen = []
    forward = engine.network.model.forward

    def spy(pixels, *args, **kwargs):
        seen.append(pixels.clone())
        return forward(pixels, *args, **kwargs)

    monkeypatch.setattr(engine.network.model, "forward", spy)
    reading = engine.read(clips / "h264_forty.mp4")
    (read,) = seen
    assert read.shape[1] == len(reading.pictures) == 8
    shown = np.stack([np.asarray(Image.open(io.BytesIO(p.jpeg))) for p in reading.pictures])
    assert shown.shape == tuple(read[0].shape)  # the crop is smaller than a thumbnail may be
    apart = np.abs(shown[:, None].astype(float) - read[0].numpy()[None]).mean(axis=(2, 3, 4))
    assert apart.argmin(axis=1).tolist() == list(range(8))
    assert np.diag(apart).max() < 8  # of a JPEG of a test pattern; the next frame is 12 away
    seconds = [picture.second for picture in reading.pictures]
    assert seconds == sorted(seconds)
    assert 3 < seconds[-1] < 4


def test_a_correction_makes_the_clip_an_example_and_another_click_moves_it(visitor, two, clips):
    key = visitor.upload("/api/questions", clips / "vp9.webm", "mine.webm").json()["id"]
    before = shares(visitor.state()["questions"][0])
    for name, other in (("jumping", "waving"), ("waving", "jumping")):
        path = f"/api/questions/{key}/correct"
        assert visitor.send("POST", path, {"chosen": two[name]}).status_code == 200
        state = visitor.state()
        counts = {item["id"]: len(item["clips"]) for item in state["classes"]}
        assert (counts[two[name]], counts[two[other]]) == (2, 1)
        (question,) = state["questions"]
        assert shares(question)[two[name]] > before[two[name]]
        before = shares(question)
        assert question["answer"]["nearest"]["id"] == question["learnt"]
        assert not question["old"]


def shares(question: dict) -> dict[str, float]:
    return {score["class"]: score["share"] for score in question["answer"]["scores"]}


def test_an_answer_is_old_once_the_examples_change_and_can_be_renewed(visitor, two, clips):
    key = visitor.upload("/api/questions", clips / "vp9.webm", "mine.webm").json()["id"]
    visitor.state()
    third = visitor.make_class("standing", clips / "vp9.webm")
    assert visitor.state()["questions"][0]["old"]
    visitor.send("POST", f"/api/questions/{key}/again")
    (question,) = visitor.state()["questions"]
    assert not question["old"]
    assert question["answer"]["class"] == third


def test_classes_are_renamed_and_deleted(visitor, two):
    visitor.send("PATCH", f"/api/classes/{two['waving']}", {"name": "  greeting "})
    visitor.send("DELETE", f"/api/classes/{two['jumping']}")
    (left,) = visitor.state()["classes"]
    assert left["name"] == "greeting"
    answer = visitor.send("POST", "/api/classes", {"name": "Greeting"})
    assert answer.json()["error"] == "there is a class 'Greeting' already; take another name"


def test_a_long_video_has_segments_with_thumbnails(visitor, two, clips):
    visitor.upload("/api/questions", clips / "h264_forty.mp4", "long.mp4", window=1)
    (question,) = visitor.state()["questions"]
    parts = question["answer"]["segments"]
    assert parts[0]["start"] == 0
    assert parts[-1]["end"] == pytest.approx(4, abs=0.6)
    assert len(question["seconds"]) == question["answer"]["windows"] == 7
    for part in parts:
        frame = visitor.client.get(f"/api/frames/{question['id']}/{part['window']}")
        assert frame.content.startswith(b"\xff\xd8")


def test_none_of_these_begins_where_the_examples_allow_it(visitor, two, clips):
    assert "needs 3 classes or more" in visitor.state()["rejection"]
    for name in two:
        visitor.upload(f"/api/classes/{two[name]}/clips", clips / "vp9.webm", "more.webm")
    visitor.make_class("third", clips / "motion_jpeg.avi", clips / "wide_pixels.mp4")
    state = visitor.state()
    assert state["rejects"]
    assert "of clips of other actions" in state["rejection"]


def test_too_many_windows_are_refused_in_one_line(engine, clips, monkeypatch):
    monkeypatch.setattr("tasd.app.engine.MOST_WINDOWS", 3)
    reading = engine.read(clips / "h264_forty.mp4", Windows(1.0, 0.5))
    assert reading.clip.problem.startswith("it has 7 windows of 1 seconds, and 3 are the most")


def test_the_export_is_a_support(visitor, two, clips, tmp_path):
    visitor.make_class("../a/b: c", clips / "vp9.webm", clips / "vp9.webm")
    visitor.state()
    content = visitor.client.get("/api/export").content
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert all(".." not in name.split("/") for name in packed.namelist())
        packed.extractall(tmp_path)
    found, problems = support_clips(tmp_path, None)
    assert not problems
    assert {name: len(paths) for name, paths in found.items()} == {
        "waving": 1,
        "jumping": 1,
        "_a_b_ c": 2,
    }


def test_old_questions_make_room_and_leave_no_file(visitor, session, two, clips, monkeypatch):
    monkeypatch.setattr("tasd.app.session.MOST_QUESTIONS", 3)
    clip = clips / "vp9.webm"
    for number in range(5):
        visitor.upload("/api/questions", clip, f"{number}.webm")
        visitor.state()
    assert [q["name"] for q in visitor.state()["questions"]][:2] == ["4.webm", "3.webm"]
    assert len(session.questions) == 3
    names = [path.suffix for path in session.folder.path.iterdir()]
    assert len([name for name in names if name != ".jpg"]) == 3 + 2
    assert len([name for name in names if name == ".jpg"]) == 8 * (3 + 2)
    for question in list(session.questions):
        visitor.send("DELETE", f"/api/questions/{question.id}")
    for key in two.values():
        visitor.send("DELETE", f"/api/classes/{key}")
    assert not list(session.folder.path.iterdir())
    assert session.folder.used == 0


def test_a_clip_knows_nothing_of_its_path(tmp_path):
    assert str(tmp_path) not in str(Clip("name.mp4", tmp_path / "x.mp4").as_json())


def test_a_support_folder_is_only_read(session, clips, tmp_path):
    (tmp_path / "waving").mkdir()
    copy = tmp_path / "waving" / "mine.avi"
    copy.write_bytes((clips / "mpeg4.avi").read_bytes())
    before = copy.stat()
    assert load_folder(session, tmp_path) == {}
    (made,) = session.classes
    assert [clip.name for clip in made.clips] == ["mine.avi"]
    session.rename_class(made.id, "greeting")
    session.delete_class(made.id)
    assert [*tmp_path.rglob("*")] == [tmp_path / "waving", copy]
    assert copy.stat().st_mtime_ns == before.st_mtime_ns
