"""Zip files are checked before anything is unpacked."""

import stat
import zipfile

import pytest

from unmix.data import unzip


@pytest.fixture
def write(tmp_path):
    """Writes a zip file of the named files, whose content is their name; an entry may also be a ZipInfo."""

    def make(*entries, **options):
        with zipfile.ZipFile(tmp_path / "data.zip", "w", **options) as archive:
            for entry in entries:
                archive.writestr(entry, str(getattr(entry, "filename", entry)))
        return tmp_path / "data.zip"

    return make


def special(name, kind):
    """An entry of a kind such as `stat.S_IFLNK`."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o777) << 16
    return entry


def unpacked(file, folder):
    """Paths and contents of the unpacked files."""
    sizes = []
    content = unzip.read(file)
    content.unpack(folder, sizes.append)
    assert not sizes or sizes[-1] == content.num_bytes
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_are_unpacked_below_a_new_folder(write, tmp_path):
    names = ["train/A - B/bass.wav", "train/Ä & 'C'/bass.wav", "test/D/bass.wav", "README.txt"]
    assert unpacked(write(*names), tmp_path / "tree") == {name: name for name in names}


def test_compressed_files_and_entries_of_folders_are_unpacked(write, tmp_path):
    file = write("train/", "train/a", compression=zipfile.ZIP_DEFLATED)
    assert unpacked(file, tmp_path / "tree") == {"train/a": "train/a"}


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["musdb/train/a", "musdb/test/b"], {"train/a", "test/b"}),
        (["musdb/train/a", "__MACOSX/musdb/train/._a", "musdb/.DS_Store"], {"train/a"}),
        (["musdb/train/a", "README"], {"musdb/train/a", "README"}),
        (["train/a", "train/b"], {"train/a", "train/b"}),
        (["test/a"], {"test/a"}),
        (["a"], {"a"}),
    ],
)
def test_a_folder_around_everything_is_left_out(write, tmp_path, names, paths):
    assert set(unpacked(write(*names), tmp_path / "tree")) == paths


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("../evil", "leaves the folder"),
        ("train/../../evil", "leaves the folder"),
        ("/etc/evil", "is absolute"),
        ("C:/evil", "is absolute"),
        ("..\\evil", "has a name that is not a path"),
        ("./", "has a name that is not a path"),
        (special("train/link", stat.S_IFLNK), "is a link"),
        (special("train/pipe", stat.S_IFIFO), "is neither a file nor a folder"),
    ],
)
def test_what_could_write_elsewhere_is_refused_before_anything_is_unpacked(write, entry, problem):
    with pytest.raises(ValueError, match=rf"data.zip: refused, as its entry .* {problem}$"):
        unzip.read(write("train/a", entry))


def test_an_encrypted_entry_is_refused(write):
    file = write("train/a")
    content = file.read_bytes()
    start = content.index(b"PK\x01\x02") + 8  # flags of the entry in the central directory
    file.write_bytes(content[:start] + b"\x01" + content[start + 1 :])
    with pytest.raises(ValueError, match="'train/a' is encrypted"):
        unzip.read(file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [("train/a", "train/a"), ("train/a", "train/A"), ("train/a", "train//a"), ("train/\u00e4", "train/a\u0308")],
)
def test_a_path_that_is_there_twice_is_refused(write, names):
    with pytest.raises(ValueError, match=r"two of its entries are 'train/.*'$"):
        unzip.read(write(*names))


def test_a_file_that_is_also_a_folder_is_refused(write):
    with pytest.raises(ValueError, match="a file is the folder of its entry 'train/a/b'"):
        unzip.read(write("train/A", "train/a/b"))


def test_what_is_no_zip_file_is_refused(tmp_path):
    (tmp_path / "data.zip").write_text("an error page")
    with pytest.raises(ValueError, match=r"data.zip: not a zip file: File is not a zip file"):
        unzip.read(tmp_path / "data.zip")


def test_a_damaged_entry_is_named(write, tmp_path):
    file = write("train/a")
    file.write_bytes(file.read_bytes().replace(b"atrain/a", b"atrain/b"))
    with pytest.raises(ValueError, match=r"data.zip: 'train/a' cannot be unpacked: Bad CRC-32"):
        unpacked(file, tmp_path / "tree")
