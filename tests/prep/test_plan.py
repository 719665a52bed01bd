import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from prep.clip import FrameSettings
from prep.plan import PLAN, Plan, ShardPlan, plan_shards, prepared_bytes, read_plan, write_plan
from tasd.datasets import SourceVideo

SETTINGS = FrameSettings()
ALL = FrameSettings(frames=None)
sizes = st.lists(st.integers(0, 10**8), max_size=60)


def videos(lengths: list[int], prefix: str = "v") -> list[SourceVideo]:
    return [SourceVideo("c", f"{prefix}{n:03}", f"c/{n}", size) for n, size in enumerate(lengths)]


@given(lengths=sizes, mib=st.integers(1, 512))
def test_every_video_is_in_exactly_one_shard(lengths: list[int], mib: int) -> None:
    found = videos(lengths)
    plan = plan_shards(found, (), settings=ALL, shard_mib=mib)
    assert [video for shard in plan for video in shard.videos] == [video.id for video in found]
    assert [shard.number for shard in plan] == list(range(len(plan)))


@given(lengths=sizes, mib=st.integers(8, 512))
def test_a_shard_of_several_videos_is_no_larger_than_allowed(lengths: list[int], mib: int) -> None:
    found = {video.id: video for video in videos(lengths)}
    for shard in plan_shards(list(found.values()), (), settings=ALL, shard_mib=mib):
        weight = sum(prepared_bytes(found[video], ALL) for video in shard.videos)
        assert len(shard.videos) == 1 or weight <= mib << 20


@given(first=sizes, second=sizes)
def test_videos_that_come_later_leave_the_first_shards_as_they_are(
    first: list[int], second: list[int]
) -> None:
    old = plan_shards(videos(first), (), settings=ALL)
    both = videos(first) + videos(second, "a later ")
    new = plan_shards(both, old, settings=ALL)
    assert new[: len(old)] == old
    assert plan_shards(both, new, settings=ALL) == new


def test_a_large_data_set_has_shards_of_256_mib_and_a_small_one_still_many() -> None:
    large = plan_shards(videos([500_000] * 40_000), (), settings=SETTINGS)
    assert 550 < len(large[0].videos) < 700
    small = plan_shards(videos([500_000] * 600), (), settings=SETTINGS)
    assert 25 <= len(small) <= 40


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    shards = (ShardPlan(0, ("a/b", "a/c"), (("x", 1, 2), ("y", 3, 4))), ShardPlan(3, ("é/ü",)))
    plan = Plan(shards, {"train": ("a",), "val": (), "test": ("é",)})
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan
    assert plan.with_stamps(3, (("z", 5, 6),)).shards[1].stamps == (("z", 5, 6),)


def test_a_plan_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_plan(tmp_path) is None
    for text in ("", "{", "[]", "{}", json.dumps({"version": 99}), '{"version": 1, "shards": [1]}'):
        (tmp_path / PLAN).write_text(text)
        assert read_plan(tmp_path) is None
