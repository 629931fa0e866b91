"""Validation tracks: a folder, a list, or a share that keeps its tracks when others are added."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmix.data.layouts.entry import Entry
from unmix.data.layouts.splits import HoldOut, position

names = st.text(min_size=1, max_size=30)
ROOT = Path("/data")


def entries(names, split="train"):
    return [Entry(split, name, ROOT / name) for name in names]


def held_out(names, share):
    return {entry.name for entry in HoldOut(share=share).apply(entries(names), ROOT)[0] if entry.split == "valid"}


@given(st.sets(names), st.sets(names), st.floats(0.01, 0.99))
def test_a_track_keeps_its_split_when_others_are_added(before, added, share):
    assert held_out(before | added, share) & before == held_out(before, share)


@given(st.sets(names), st.floats(0.01, 0.5))
def test_a_larger_share_holds_out_the_same_tracks_and_more(some, share):
    assert held_out(some, share) <= held_out(some, 1.5 * share)


def test_a_share_is_about_that_share():
    assert len(held_out({f"Song {number}" for number in range(2000)}, 0.1)) == pytest.approx(200, abs=50)


def test_a_share_that_holds_out_nothing_says_which_does():
    least = min(position(name) for name in "ABC")
    _, (error,), _ = HoldOut(share=0.01).apply(entries("ABC"), ROOT)
    assert f"data.validation_share: got 0.01, which holds out none of 3 tracks: {least:.2f} is the least" in error


def test_test_tracks_are_never_held_out():
    found, *_ = HoldOut(names=("A",)).apply([*entries("AB"), *entries("A", "test")], ROOT)
    assert [entry.split for entry in found] == ["valid", "train", "test"]


def test_a_folder_of_validation_tracks_needs_no_names():
    given = [*entries("A"), *entries("B", "valid")]
    assert HoldOut().apply(given, ROOT) == (given, [], [])


@pytest.mark.parametrize(("rule", "key"), [({"names": ("A",)}, "tracks"), ({"share": 0.5}, "share")])
def test_a_folder_and_a_rule_contradict_each_other(rule, key):
    _, (error,), _ = HoldOut(**rule).apply([*entries("A"), *entries("B", "valid")], ROOT)
    assert error == f"data.validation_{key}: given, but /data/valid holds the validation tracks: remove one"


def test_names_and_a_share_contradict_each_other():
    with pytest.raises(ValueError, match=r"data.validation_share: got 0.5, but data.validation_tracks names tracks"):
        HoldOut(("A",), 0.5)
