"""Tables of files: rows become parts of tracks; a wrong row is named by its line."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trees
from unmix.data import library, pcm
from unmix.data.layouts import table

SOURCES = ("vocals", "drums")


@pytest.fixture
def audio(tmp_path):
    """Two files of a second each."""
    songs = trees.stems(1, sources=SOURCES)
    return {source: trees.write(tmp_path / f"{source}.wav", samples) for source, samples in songs.items()}


def make(root, tmp_path, **options):
    given = {"root": root, "layout": "auto", "sources": SOURCES, "sample_rate": 44100, "validation_share": 0.5}
    return library.from_settings({**given, **options}, tmp_path / "cache")


def rows(tmp_path, *lines):
    path = tmp_path / "files.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.usefixtures("audio")
def test_rows_of_a_track_are_read_from_their_start_to_their_end(tmp_path):
    lines = ("vocals.wav,vocals,A,0.25,0.75,test", "drums.wav,drums,A,0.5,1,test")
    path = rows(tmp_path, "path,source,track,start,end,split", *lines)
    for root in (path, tmp_path):
        data = make(root, tmp_path)
        data.make()
        (track,) = data.scan.splits.test
        assert (data.layout.name, track.name, track.num_samples) == ("csv", "A", 22050)
        whole = pcm.read_int16(tmp_path / "vocals.wav")
        np.testing.assert_array_equal(pcm.read_int16(track.path("vocals")), whole[:, 11025:33075])


@pytest.mark.usefixtures("audio")
def test_rows_of_the_same_source_are_summed(tmp_path):
    path = rows(tmp_path, "path,source,track,split", *["vocals.wav,vocals,A,test"] * 2, "drums.wav,drums,A,test")
    data = make(path, tmp_path)
    data.make()
    (track,) = data.scan.splits.test
    np.testing.assert_array_equal(
        pcm.read_int16(track.path("vocals")), 2 * pcm.read_int16(tmp_path / "vocals.wav").astype(int)
    )


@pytest.mark.parametrize("column", ["instrum", "type", "Source"])
@pytest.mark.usefixtures("audio")
def test_without_tracks_the_files_are_loose_as_in_other_projects_tables(tmp_path, column):
    path = rows(tmp_path, f"{column},path", f"vocals,{tmp_path / 'vocals.wav'}", "drums,drums.wav", "organ,drums.wav")
    entries = make(path, tmp_path, validation_share=None, validation_tracks=["vocals"]).entries
    assert [(entry.name, list(entry.files), entry.is_loose) for entry in entries if entry.split == "train"] == [
        ("drums", ["drums"], True)
    ]


@pytest.mark.usefixtures("audio")
def test_a_table_may_be_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"path": ["vocals.wav", "drums.wav"], "source": list(SOURCES), "track": ["A", "A"]}
    parquet.write_table(pyarrow.table({**columns, "split": ["test"] * 2, "start": [0.5, None]}), tmp_path / "t.parquet")
    data = make(tmp_path / "t.parquet", tmp_path)
    (entry,) = data.entries
    assert (entry.split, entry.files["vocals"][0].start, entry.files["drums"][0].start) == ("test", 0.5, 0.0)


def test_parquet_without_its_package_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").touch()
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"t.parquet needs the package pyarrow, .*pip install 'unmix\[parquet\]'"):
        _ = make(tmp_path / "t.parquet", tmp_path, layout="csv").entries
    assert sys.modules


def test_parquet_that_is_none_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_text("text")
    with pytest.raises(ValueError, match=r"t.parquet is not a readable Parquet file"):
        _ = make(tmp_path / "t.parquet", tmp_path, layout="csv").entries


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("nowhere.wav,vocals,A,,,", r"line 3: path: .*nowhere.wav is no file"),
        (",vocals,A,,,", r"line 3: path and source are needed"),
        ("vocals.wav,vocals,A,2,1,", r"line 3: end: got 1, which is not after start=2"),
        ("vocals.wav,vocals,A,1,1,", r"line 3: end: got 1, which is not after start=1"),
        ("vocals.wav,vocals,A,-1,,", r"line 3: start: got '-1', seconds from 0 on are needed"),
        ("vocals.wav,vocals,A,,soon,", r"line 3: end: got 'soon', seconds from 0 on are needed"),
        ("vocals.wav,vocals,A,,nan,", r"line 3: end: got 'nan', seconds"),
        (
            "vocals.wav,vocals,A,,,vlaid",
            r"line 3: split: got 'vlaid', allowed train, valid, test; did you mean 'valid'\?",
        ),
        ("vocals.wav,vocals,a/b,,,", r"line 3: track: got 'a/b', a name of a file, without /, is needed"),
        ("vocals.wav,vocals,.a,,,", r"line 3: track: got '.a'"),
    ],
)
@pytest.mark.usefixtures("audio")
def test_a_wrong_row_is_named_by_its_line(tmp_path, row, message):
    path = rows(tmp_path, "path,source,track,start,end,split", "drums.wav,drums,A,0,1,train", row)
    with pytest.raises(ValueError, match=rf"data.root: .*files.csv, {message}"):
        _ = make(path, tmp_path).entries


@pytest.mark.usefixtures("audio")
def test_a_span_beyond_the_end_of_its_file_is_an_error_of_the_track(tmp_path):
    path = rows(tmp_path, "path,source,track,end", "vocals.wav,vocals,A,1.005", "drums.wav,drums,A,3")
    data = make(path, tmp_path, validation_share=None, validation_tracks=["A"])
    data.make()
    (error,) = data.scan.errors
    assert "drums.wav has 1.000 s, but a span of it reaches 3 s: correct the table" in error


def test_wrong_columns_are_shown_with_the_right_ones(tmp_path):
    path = rows(tmp_path, "file,instrument", "a.wav,vocals")
    message = (
        r"files.csv lacks the columns path, source; it has file, instrument, needed are path, source, allowed track"
    )
    with pytest.raises(ValueError, match=message):
        _ = make(path, tmp_path, layout="csv").entries
    with pytest.raises(
        ValueError, match=r"the nearest layout is csv .*which lacks the columns path, source in files.csv"
    ):
        _ = make(tmp_path, tmp_path).layout


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text("path,source\n\"';0.\0 ab", max_size=60)))
def test_any_other_text_is_refused_in_words(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(f"path,source,track\n{content}".encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match=r"^data\."):
        _ = make(path, path.parent, layout="csv").entries


def test_two_tables_in_a_folder_are_refused(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("path,source\n")
    with pytest.raises(ValueError, match=r"holds 2 tables \(a.csv, b.csv\): name one as data.root"):
        _ = make(tmp_path, tmp_path, layout="csv").entries


WEIGHTS = "path,source,track,split,Popularity"


@pytest.mark.usefixtures("audio")
def test_a_column_weighs_tracks_and_loose_files_and_empty_cells_are_1(tmp_path):
    lines = (
        "vocals.wav,vocals,A,test,",
        "drums.wav,drums,A,test,2.5",
        "vocals.wav,vocals,,train,0",
        "drums.wav,drums,,,",
    )
    data = make(rows(tmp_path, WEIGHTS, *lines), tmp_path, track_weights="Popularity", validation_share=None)
    assert {(entry.name, entry.weight) for entry in data.entries} == {("A", 2.5), ("vocals", 0), ("drums", 1)}
    assert {entry.weight for entry in make(tmp_path, tmp_path, validation_share=None).entries} == {1}


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
@pytest.mark.usefixtures("audio")
def test_a_weight_that_is_no_number_from_0_on_is_named_by_its_line(tmp_path, value):
    path = rows(tmp_path, WEIGHTS, "drums.wav,drums,A,train,1", f"vocals.wav,vocals,A,train,{value}")
    message = rf"^data.root: .*files.csv, line 3: Popularity: got '{value}', a weight from 0 on is needed, or nothing"
    with pytest.raises(ValueError, match=message):
        _ = make(path, tmp_path, track_weights="Popularity").entries
    assert make(path, tmp_path, track_weights="duration").entries


@pytest.mark.usefixtures("audio")
def test_two_weights_of_a_track_are_refused(tmp_path):
    path = rows(tmp_path, WEIGHTS, "drums.wav,drums,A,test,1", "vocals.wav,vocals,A,test,2")
    data = make(path, tmp_path, track_weights="Popularity")
    data.make()
    (error, *_) = data.scan.errors
    assert error == f"data.track_weights: 'A' has 1 and 2 in {path}: give a track one weight"


@pytest.mark.usefixtures("audio")
def test_a_column_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    rows(tmp_path, WEIGHTS, "drums.wav,drums,A,train,1")
    message = (
        r"^data.track_weights: got 'popularity', allowed uniform, duration, activity, Popularity; did you mean 'Popul"
    )
    for layout in ("auto", "csv"):
        with pytest.raises(ValueError, match=message):
            _ = make(tmp_path, tmp_path, track_weights="popularity", layout=layout).entries


def test_only_a_table_has_columns(tmp_path):
    trees.write_musdb(tmp_path, trees.songs({"train": ["A"]}, seconds=0.01, sources=SOURCES))
    message = (
        r"^data.track_weights: got 'durations', allowed uniform, .*, a column of a table of files; did you mean 'dur"
    )
    with pytest.raises(ValueError, match=message):
        make(tmp_path, tmp_path, track_weights="durations", layout="musdb")
    with pytest.raises(ValueError, match=message):
        _ = make(tmp_path, tmp_path, track_weights="durations").entries


@pytest.mark.usefixtures("audio")
def test_a_file_in_two_splits_is_an_error(tmp_path):
    lines = [f"{source}.wav,{source},{track},{track}" for track in ("train", "test") for source in SOURCES]
    data = make(rows(tmp_path, "path,source,track,split", *lines), tmp_path, validation_share=0.999)
    assert any("vocals.wav is in valid and in test" in error for error in data.listing.errors)
