"""What README and the pages of docs/ show is run, or at least composed; a block that is not run says what it needs."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import documents
import trees
from documents import DOCS, PAGES, ROOT, blocks, name_of

OWN_DATA = DOCS / "how_to" / "own_data.md"
RUN, TOY = "commands", "commands in tests/toy"  # marks of blocks that tests run
MARKS = (
    RUN,
    TOY,
    documents.REFUSED,
    "output",  # printed text, or a tree of files
    "file",  # the content of a file
    "needs MUSDB18",
    "needs a GPU",
    "needs a cluster",
    "needs W&B",
    "needs a release",
    "needs minutes",
    "needs ratings of listeners",
    "needs the network",
    "needs your own data",
)
# Pages that have tests of their own
OTHERS = {OWN_DATA, DOCS / "tutorial.md", DOCS / "first_ten_minutes.md"}
# Keys that a page names, and that no file of conf/ has: of MSST, of Lightning, made up, and wrong on purpose
STRANGE = ("weights_only", "trainer.deterministic", "group.key", "epochs", "learning_rate", "gpu")
TRAINED = "demo-1a2b3c4d"  # experiment that the pages take as trained already
SONGS = ("Copper Wire", "Glass Hour", "Low Tide", "Wren")  # the second and third are held out by a share of 0.3
OWN_SMALLER = {
    "check": ["data.segment_seconds=1"],
    "train": ["data.samples_per_track=1", "model.hidden_size=16", "trainer.gpus=0", "hydra/launcher=basic"],
    "evaluate": ["evaluation.workers=0"],
}

every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@every_page
def test_every_block_is_run_or_says_what_it_needs(page):
    unmarked = [block.text.splitlines()[:1] for block in blocks(page) if block.kind not in MARKS]
    assert not unmarked, f"allowed above a block: {', '.join(f'<!-- {mark} -->' for mark in MARKS)}"


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_links_lead_somewhere(page):
    """`make docs` checks those of docs/."""
    links = re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.fixture(scope="module")
def composed():
    """The function `composed(command)`: checks a command up to where it would look at files, once."""
    from unmix import bare_words, hints, usage
    from unmix.composition import check_targets, parse
    from unmix.distinct import Distinct
    from unmix.quoting import quote_literal

    distinct, known = Distinct(), set()

    def check(command):
        words = [quote_literal(word) for word in command.arguments]
        arguments = hints.arguments_of(words)
        if arguments.shell_completion or (command.name, *words) in known:
            return
        known.add((command.name, *words))
        bare_words.check(command.name, arguments.overrides, usage.folders(arguments.config_dir))
        hints.check(command.name, arguments.overrides, arguments.config_dir)
        parsed = parse(command.name, arguments.overrides, multirun=arguments.multirun, config_dir=arguments.config_dir)
        if not parsed.is_search:  # which tests/test_searches.py composes
            for cfg in parsed.compose_jobs():
                check_targets(cfg, distinct)

    return check


@every_page
def test_every_command_composes(page, composed, monkeypatch):
    monkeypatch.chdir(ROOT / "tests" / "toy")  # where my_package and my_conf are
    monkeypatch.syspath_prepend(".")
    for command in documents.shown(page):
        composed(command)


@pytest.fixture(scope="module")
def known_keys():
    """Keys of all files of conf/, and the sections that hold them."""
    import yaml

    from unmix.composition import CONF

    def keys(node, prefix):
        for name, value in node.items() if isinstance(node, dict) else ():
            yield f"{prefix}{name}"
            yield from keys(value, f"{prefix}{name}.")

    known = set()
    for path in CONF.glob("**/*.yaml"):
        text, group = path.read_text(), path.parent.relative_to(CONF)
        is_global = group == Path() or "@package _global_" in text
        known |= {str(group), *keys(yaml.safe_load(text), "" if is_global else f"{group}.".replace("/", "."))}
    return known


@every_page
def test_every_setting_of_sentences_and_tables_exists(page, known_keys):
    from unmix.quoting import OPEN_GROUPS
    from unmix.usage import options

    for key, value in documents.settings(page):
        if key in STRANGE or key.startswith(OPEN_GROUPS):
            continue
        assert any(known == key or known.endswith(f".{key}") for known in known_keys), f"{key}={value}: no such key"
        if value and (files := options(key)):
            assert set(value.strip("[]").split(",")) <= {*files, "null", "my_model", "my_objective"}, f"{key}={value}"


@pytest.mark.parametrize("page", [page for page in PAGES if "<!-- refused -->" in page.read_text()], ids=name_of)
def test_what_is_refused_is_answered_as_the_page_says(page, cli, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.mark == documents.REFUSED:
            (command,) = documents.commands(block.text)
            assert cli(command.name, *command.arguments) == 2
            assert capfd.readouterr().err.split() == block.text.partition("\n")[2].split()


@pytest.fixture
def smaller(train_arguments):
    """Arguments by command that make it tiny, unless the page gives the same key."""
    data = [argument for argument in train_arguments if argument.startswith("data.")]
    return {
        "train": train_arguments,
        "check": data,
        "evaluate": ["evaluation.workers=0", "metrics=csdr"],
        "report": ["figures=null"],
        "listen": ["seconds=1"],
    }


def without_repetitions(defaults, arguments):
    """Arguments, and the defaults whose keys are not among them."""
    given = {argument.partition("=")[0] for argument in arguments}
    return [*arguments, *(default for default in defaults if default.partition("=")[0] not in given)]


@pytest.fixture
def working_directory(trained_once, tmp_path, monkeypatch):
    """A folder with a song and a trained experiment, as readers of a page have it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_once, tmp_path / "outputs" / "runs" / TRAINED)
    soundfile.write("song.wav", np.random.default_rng(0).uniform(-0.3, 0.3, (44100, 2)), 44100)


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters", "working_directory")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in OTHERS and f"<!-- {RUN} -->" in page.read_text()], ids=name_of
)
def test_the_commands_of_a_page_run(page, smaller, cli, capfd, monkeypatch):
    for block in blocks(page):
        if block.mark == RUN and block.language == "python":
            exec(block.text, {"mixture": np.zeros((1, 2, 44100), np.float32)})
        elif block.mark == RUN:
            for command in documents.commands(block.text.replace("<experiment>", TRAINED)):
                arguments = without_repetitions(smaller.get(command.name, []), command.arguments)
                with monkeypatch.context() as patch:
                    for name, value in command.environment.items():
                        patch.setenv(name, value)
                    assert cli(command.name, *arguments) == 0, capfd.readouterr().err


def own_data_commands():
    return [command for block in blocks(OWN_DATA) if block.mark == RUN for command in documents.commands(block.text)]


def write_songs(root):
    for name, stems in trees.songs({"": SONGS}, seconds=2.0, rate=48000, channels=1)[""].items():
        lead = stems["vocals"] // 2
        files = {"01 Lead Vox.wav": lead, "02 Backing VOX.flac": stems["vocals"] - lead, "Kit.wav": stems["drums"]}
        for file, samples in {**files, "Bass DI.wav": stems["bass"], "Gtr + Keys.wav": stems["other"]}.items():
            trees.write(root / name / file, samples, 48000)


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters")
def test_the_commands_of_own_data_lead_from_loose_files_to_scores(cli, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_songs(tmp_path / "songs")
    assert cli("check", "data=own", "data.root=songs") == 2
    assert "the nearest layout is tracks" in capfd.readouterr().err
    assert [command.name for command in own_data_commands()] == ["prepare", "check", "train", "evaluate"]
    for command in own_data_commands():
        arguments = [argument.replace("max_epochs=3", "max_epochs=1") for argument in command.arguments]
        assert cli(command.name, *arguments, *OWN_SMALLER.get(command.name, [])) == 0, capfd.readouterr().err
    (scores,) = Path("outputs/runs").glob("mine-*/eval/mine-valid-*/scores.csv")
    assert {name for name in SONGS if name in scores.read_text()} == {"Glass Hour", "Low Tide"}


def test_own_data_lists_every_layout():
    from unmix.data.layouts.detection import LAYOUTS

    for name in LAYOUTS:
        assert f"| `{name}` |" in OWN_DATA.read_text()
