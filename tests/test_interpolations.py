"""A configuration resolves to what OmegaConf resolves it to."""

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unmix.composition import compose
from unmix.identity import resolved, value_of
from unmix.interpolations import written

CASES = {
    "a reference": {"a": "${b}", "b": 1},
    "a reference to a reference": {"a": "${b}", "b": "${c.d}", "c": {"d": None}},
    "a mapping": {"a": "${b}", "b": {"c": "${d}"}, "d": [1, "${a.c.0}"]},
    "a list": {"a": ["${b.1}", "${b}"], "b": [1, {"c": "${d}"}], "d": True},
    "a relative reference": {"a": {"b": "${.c}", "c": "${..d}"}, "d": 2.5},
    "a text": {"a": "${b}/x-${c}", "b": "y", "c": "z z"},
    "a text with numbers": {"a": "${b}/${c}/${d}/${e}", "b": 1, "c": 2.50, "d": True, "e": None},
    "a resolver": {"a": "${oc.env:UNMIX_NONE,${b}}", "b": "${oc.decode:'[1,2]'}", "c": "${b}"},
    "an escape": {"a": r"\${b}", "b": "x", "c": r"\\${b}"},
    "an escape of a text": {"a": "${b}", "b": r"\${c}"},
    "brackets": {"a": "${b[c]}", "b": {"c": 3}},
    "a nested reference": {"a": "${b.${c}}", "b": {"d": 4}, "c": "d"},
    "ours": {"target": "b", "seed": 1, "data": {"sources": ["a", "b"]}, "x": "${targets:}", "y": "${run_name:}-"},
    "ours by reference": {"target": "${t}", "t": ["b", "a"], "data": {"sources": ["a", "b"]}, "x": "${targets:}"},
    "ours without a target": {"target": None, "x": "${targets:}"},
    "a mapping in a text": {"a": "x${b}", "b": {"c": 1}},
    "missing and unused": {"a": "???", "b": 1},
}
REFUSED = {
    "no such key": {"a": "${b}"},
    "missing": {"a": "${b}", "b": "???"},
    "a cycle": {"a": "${b}", "b": "${a}"},
    "no such resolver": {"a": "${nothing:}"},
}


@pytest.mark.parametrize("content", CASES.values(), ids=CASES)
def test_what_is_written_and_what_it_resolves_to_are_what_omegaconf_gives(content):
    cfg = OmegaConf.create(content)
    assert written(cfg) == OmegaConf.to_container(cfg, resolve=False)
    assert resolved(cfg) == OmegaConf.to_container(cfg, resolve=True)
    assert repr(resolved(cfg)) == repr(OmegaConf.to_container(cfg, resolve=True)), "also the types"


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_omegaconf_refuses_is_refused_in_its_words(content):
    cfg = OmegaConf.create(content)
    with pytest.raises((OmegaConfBaseException, RecursionError)) as expected:
        OmegaConf.to_container(cfg, resolve=True)
    with pytest.raises(type(expected.value)) as raised:
        resolved(cfg)
    assert str(raised.value) == str(expected.value)


def test_two_references_to_a_list_are_two_lists():
    content = resolved(OmegaConf.create({"a": "${c}", "b": "${c}", "c": [1]}))
    content["a"].append(2)
    assert content == {"a": [1, 2], "b": [1], "c": [1]}


@pytest.mark.parametrize("overrides", [[], ["experiment=demo", "target=all"], ["logger=wandb", "run_dir=x/${name}/y"]])
def test_a_configuration_resolves_as_omegaconf_resolves_it(overrides):
    cfg = compose("train", overrides)
    assert resolved(cfg) == OmegaConf.to_container(cfg, resolve=True)
    assert value_of(cfg, "run_dir") == cfg.run_dir
    assert value_of(cfg, "data") == OmegaConf.to_container(cfg.data, resolve=True)


def test_a_value_that_only_omegaconf_can_compute_is_its_own():
    cfg = OmegaConf.create({"a": "${oc.env:UNMIX_NONE,x}", "b": {"c": ["${.1}", "${a}"]}, "d": "${b[c]}"})
    assert value_of(cfg, "a") == "x"
    assert value_of(cfg, "b") == {"c": ["x", "x"]}
    assert value_of(cfg, "d") == ["x", "x"]
    with pytest.raises(OmegaConfBaseException):
        value_of(OmegaConf.create({"a": "${b}"}), "a")
