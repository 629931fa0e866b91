"""The commands of docs/tutorial.md and docs/first_ten_minutes.md, and what the pages say that these print and write."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
EXPERIMENT = re.compile(r"\b\w+-[0-9a-f]{8}\b")
INCLUDED = re.compile(r"^```\{literalinclude\} generated/tutorial/(\d+)\.txt$", re.MULTILINE)
SMALLER = {
    "train": [
        "data.prepare.num_tracks=8",
        "data.prepare.seconds=2",
        "data.samples_per_track=1",
        "data.num_workers=0",
        "trainer.gpus=0",
    ],
    "evaluate": ["evaluation.workers=0"],
    "listen": ["seconds=1"],
}
PAGES = ("tutorial", "first_ten_minutes")


@pytest.fixture(scope="module")
def script():
    """docs/tutorial_output.py, as a module."""
    spec = importlib.util.spec_from_file_location("tutorial_output", DOCS / "tutorial_output.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tutorial_output", module)
        spec.loader.exec_module(module)
        yield module


def commands(script, page):
    return [step for step in script.steps(DOCS / f"{page}.md") if isinstance(step, script.Command)]


def experiments(command, options=()):
    """Ids of the experiments that a training command trains, as its jobs are in order."""
    from unmix import composition
    from unmix.identity import experiment_id

    _, _, *words = shlex.split(command)
    overrides = [word for word in words if "=" in word]
    parsed = composition.parse("train", [*overrides, *options], multirun="-m" in words)
    return [experiment_id(cfg) for cfg in parsed.compose_jobs()]


def test_the_stored_output_is_that_of_the_commands_of_the_tutorial(script):
    """`make tutorial` writes it anew."""
    expected = {f"{command.number:02d}.txt": f"$ {command.text}" for command in commands(script, "tutorial")}
    files = (DOCS / "generated" / "tutorial").glob("[0-9]*.txt")
    assert {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in files} == expected


def test_the_tutorial_shows_the_output_of_each_command_once_and_below_it(script):
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    numbers = [command.number for command in commands(script, "tutorial")]
    assert list(map(int, INCLUDED.findall(text))) == numbers
    marks = [(match.start(), "commands") for match in re.finditer("^<!-- commands", text, re.MULTILINE)]
    shown = [(match.start(), "output") for match in INCLUDED.finditer(text)]
    assert [kind for _, kind in sorted(marks + shown)] == ["commands", "output"] * len(numbers)


def test_the_tutorial_names_the_experiment_that_its_commands_train(script):
    trained = {
        name
        for command in commands(script, "tutorial")
        if "train.py" in command.text and command.exit_code != 2
        for name in experiments(command.text)
    }
    named = set(EXPERIMENT.findall((DOCS / "tutorial.md").read_text(encoding="utf-8")))
    assert named == trained


def shorter(text):
    """A command of a page with one epoch, where the page has the first few."""
    name = Path(shlex.split(text)[1]).stem
    options = SMALLER.get(name, [])
    if name == "train" and "max_epochs" not in text:
        options = [*options, "trainer.max_epochs=1"]
    return name, [*shlex.split(text)[2:], *options]


def names_when_smaller(steps):
    """Name of an experiment of the page -> its name with the settings of `SMALLER`."""
    trainings = [step.text for step in steps if "train.py" in step.text and step.exit_code != 2]
    pairs = [
        zip(experiments(text), experiments(text, SMALLER["train"]), strict=True)
        for text in trainings
        if "config-dir" not in text
    ]
    return {name: other for each in pairs for name, other in each}


def interrupt(start, command, arguments, log):
    """Run a training in a process of its own, without an end, and send it the signal when its cue is printed."""
    from command_process import wait_until

    log.touch()
    endless = [re.sub(r"max_epochs=\d+", "max_epochs=100000", argument) for argument in arguments]
    process = start("train", *endless, log=log)
    cue = command.cue.removesuffix("10")  # the number of epochs, which differs here
    wait_until(lambda: process.poll() is not None or cue in log.read_text())
    process.send_signal(command.signum)
    assert process.wait() == command.exit_code, log.read_text()


def follow(script, page, cli, start, capfd):
    """Follow a page in the working directory; returns the text of the page with the names of the experiments here."""
    steps = list(script.steps(DOCS / f"{page}.md"))
    names = names_when_smaller([step for step in steps if isinstance(step, script.Command)])
    in_sweep = ["hydra/launcher=basic"]

    def here(text):
        return EXPERIMENT.sub(lambda match: names.get(match[0], match[0]), text)

    for step in steps:
        if isinstance(step, script.File):
            Path(step.name).parent.mkdir(parents=True, exist_ok=True)
            Path(step.name).write_text(step.content)
        elif not step.text.startswith("python "):
            subprocess.run(here(step.text), shell=True, check=True, stdout=subprocess.DEVNULL)
        elif step.signum is not None and "-m" not in step.text:
            interrupt(start, step, shorter(here(step.text))[1], Path("log.txt").absolute())
        else:
            name, arguments = shorter(here(step.text))
            arguments += in_sweep if "-m" in arguments else []
            expected = 0 if step.signum is not None else step.exit_code
            assert cli(name, *arguments) == expected, (step.text, capfd.readouterr())
    return here((DOCS / f"{page}.md").read_text(encoding="utf-8"))


def _of_the_reader():
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "my_package"}


@pytest.fixture
def own_package(monkeypatch):
    """The reader's package is imported from the reader's folder: tests/toy has another of that name."""
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if not Path(folder, "my_package").is_dir()])
    others = _of_the_reader()
    for name in others:
        del sys.modules[name]
    yield
    for name in _of_the_reader():
        del sys.modules[name]
    sys.modules.update(others)


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters", "own_package")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_in_order_and_write_what_it_names(
    script, page, cli, start, capfd, tmp_path, monkeypatch
):
    """One epoch of two-second songs in place of five of twenty; sweeps train in this process."""
    monkeypatch.chdir(tmp_path)
    script.write_song(tmp_path / "song.mp3")
    text = follow(script, page, cli, start, capfd)
    named = re.findall(r"`((?:outputs/|song\.)[^`<> ]+)`", text)
    assert [name for name in named if not list(tmp_path.glob(name))] == []
