"""Files are sorted into stems by their names; what is unclear is refused with the key that makes it clear."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmix.data.layouts.entry import Part
from unmix.data.layouts.naming import Naming

SOURCES = ("vocals", "drums", "rest")
FOLDER = Path("/data/Song")


def entry(names, split="train", **rules):
    return Naming(SOURCES, **rules).entry(split, "Song", FOLDER, names)


def files(names, **rules):
    """Names of the files of each stem; a minus for those that are subtracted."""
    made = entry(names, **rules)
    assert made.problem == ""
    return {
        stem: [("-" if part.sign < 0 else "") + str(part.path.relative_to(FOLDER)) for part in parts]
        for stem, parts in made.files.items()
    }


def test_a_file_named_as_a_source_is_that_source_whatever_its_case_and_format():
    names = ["Vocals.WAV", "drums.flac", "rest.aiff", "mixture.wav"]
    assert files(names) == dict(
        zip(("mixture", *SOURCES), (["mixture.wav"], *([name] for name in names[:3])), strict=True)
    )


def test_files_that_match_patterns_are_summed():
    found = files(["Lead Vox.wav", "vox2.wav", "drums.wav", "rest.wav"], rename={"vocals": ["*vox*"]})
    assert found["vocals"] == ["Lead Vox.wav", "vox2.wav"]


def test_a_pattern_with_a_slash_matches_the_path():
    found = files(["A/1.wav", "A/2.wav", "drums.wav", "rest.wav"], rename={"vocals": ["a/*"]})
    assert found["vocals"] == ["A/1.wav", "A/2.wav"]


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_source_of_any_name_is_found_under_its_own_name(name):
    made = Naming((name, "_other_")).entry("train", "Song", FOLDER, [f"{name}.wav", "_other_.wav"])
    if name.casefold() not in ("mixture", "_other_"):
        assert made.files[name] == (Part(FOLDER / f"{name}.wav"),)


def test_composed_and_decomposed_accents_are_the_same():
    decomposed = unicodedata.normalize("NFD", "Chœur é.wav")
    assert files([decomposed, "drums.wav", "rest.wav"], rename={"vocals": ["chœur é"]})["vocals"] == [decomposed]


def test_other_rest_sums_the_files_that_no_source_has():
    found = files(["vocals.wav", "drums.wav", "x.wav", "y.wav", "rest.wav"], other="rest")
    assert found["rest"] == ["rest.wav", "x.wav", "y.wav"]


def test_other_rest_without_files_is_the_mixture_minus_the_other_sources():
    assert files(["vocals.wav", "drums.wav", "mixture.wav"], other="rest")["rest"] == [
        "mixture.wav",
        "-vocals.wav",
        "-drums.wav",
    ]


def test_without_other_rest_a_file_of_no_source_is_not_used():
    made = entry(["vocals.wav", "drums.wav", "rest.wav", "x.wav"])
    assert (made.problem, made.unused) == ("", ("x.wav",))


def test_an_absent_source_is_refused_unless_it_may_be_silent_or_left_out():
    names = ["vocals.wav", "drums.wav"]
    assert "Song lacks rest.wav; a track holds" in entry(names).problem
    assert entry(names, absent="silence").files["rest"] == ()
    assert "rest" not in entry(names, absent="skip").files
    assert entry(names, absent="skip").problem == ""
    assert "lacks rest.wav" in entry(names, split="test", absent="skip").problem


@pytest.mark.parametrize("absent", ["silence", "skip"])
def test_a_track_without_any_source_is_refused(absent):
    assert "lacks vocals, drums, rest" in entry(["x.wav"], absent=absent).problem


def test_a_file_that_two_sources_match_is_refused_with_both_patterns():
    made = entry(["Vox Kit.wav", "rest.wav"], rename={"vocals": ["*vox*"], "drums": ["*kit*"]})
    assert made.problem == (
        "data.root: track /data/Song holds Vox Kit.wav, which is vocals ('*vox*') and drums ('*kit*'): "
        "make data.rename distinct"
    )


def test_a_recording_in_two_formats_is_refused():
    assert (
        "holds bass.wav and bass.flac: remove one" in entry(["bass.flac", "bass.wav"], rename={"rest": ["b*"]}).problem
    )


def test_two_mixtures_are_refused():
    made = entry(["mix.wav", "mix2.wav", "vocals.wav", "drums.wav", "rest.wav"], rename={"mixture": ["mix*"]})
    assert "holds mix.wav and mix2.wav, both the mixture" in made.problem


def test_a_stem_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"data.rename.vocal: got 'vocal', allowed mixture, vocals, .*mean 'vocals'\?"):
        Naming(SOURCES, {"vocal": ["*"]})


def test_a_pattern_that_matches_nothing_is_refused_with_names_that_are_there():
    naming = Naming(SOURCES, {"vocals": ["*vox*", "*sing*"]})
    naming.entry("train", "Song", FOLDER, ["Vox.wav", "Kit.wav"])
    message = r"data.rename.vocals: '\*sing\*' matches none of the files, such as 'Vox.wav', 'Kit.wav'"
    with pytest.raises(ValueError, match=message):
        naming.check_patterns()


@pytest.mark.parametrize(
    "name", ["new\nline.wav", "'q\"uote.wav", "~home.wav", "[x].wav", "x" * 250 + ".wav", "音.wav"]
)
def test_hostile_names_are_names(name):
    found = files([name, "drums.wav", "rest.wav"], other="rest", absent="silence")
    assert found == {"vocals": [], "drums": ["drums.wav"], "rest": ["rest.wav", name]}
