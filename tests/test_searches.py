"""The searches that README, docs/ and conf/ name."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from documents import PAGES
from unmix.composition import CONF, parse
from unmix.search.objectives import OBJECTIVES
from unmix.search.settings import PRUNERS, SAMPLERS, from_node
from unmix.search.space import read

PAGE = CONF.parent / "docs" / "how_to" / "search.md"
SEARCH = re.compile(r"python src/train\.py ([^`\n]*(?:search=|hydra/sweeper=)[^`\n]*)")
COMMANDS = sorted(
    {
        match
        for path in (*PAGES, *CONF.glob("search/*.yaml"), *CONF.glob("hydra/sweeper/*.yaml"))
        for match in SEARCH.findall(path.read_text())
    }
)


def searched(words):
    """Settings, space and configurations of a search."""
    command = parse("train", words)
    assert command.is_search
    settings = from_node(OmegaConf.to_container(command.hydra.sweeper))
    space = read(settings.params, words)
    jobs = [job for values in space.probes for job in space.jobs(values)]
    return settings, space, list(replace(command, jobs=jobs).compose_jobs())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_is_printed_composes(command):
    settings, space, cfgs = searched(shlex.split(command))
    assert settings.n_trials > 0
    assert len({cfg.run_dir for cfg in cfgs}) == len(space.probes)


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(CONF / "search").glob("*.yaml")))
def test_a_file_of_a_space_is_a_search_by_itself(name):
    _, space, cfgs = searched([f"search={name}", "data=demo", "sweep_name=mine"])
    for key in space.description:
        assert len({OmegaConf.select(cfg, key) for cfg in cfgs}) >= 2


def test_a_job_of_a_search_is_no_search():
    assert not parse("train", ["search=demo", "hydra.mode=RUN"]).is_sweep


@pytest.mark.parametrize("word", [*OBJECTIVES, *(pruner for pruner in PRUNERS if pruner != "none"), *SAMPLERS])
def test_the_page_explains_every_word(word):
    assert f"`{word}`" in PAGE.read_text() or f"={word}`" in PAGE.read_text()
