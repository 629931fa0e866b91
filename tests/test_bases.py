"""A configuration composed from a base is the one that Hydra composes, in every respect that code can see."""

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, ListConfig, OmegaConf

from unmix.bases import Bases, shared
from unmix.composition import CONF, compose
from unmix.interpolations import written

# As many kinds of overrides as there are: of groups, values, additions, deletions, lists, mappings, interpolations.
CHOICES = (
    *("experiment=demo", "experiment=umxse", "model=umx_small", "callbacks=ema", "scheduler=cosine", "logger=wandb"),
    *("sweep=targets", "debug=one_batch", "data=own", "hydra/job_logging=default", "hydra.verbose=true"),
    *("+debug=overfit", "hydra/launcher=basic", "objective=multi_resolution_stft", "trainer=ddp_cpu"),
)
VALUES = (
    *("target=drums", "target=[vocals,drums]", "target=all", "seed=7", "model.hidden_size=16", "optimizer.lr=1e-4"),
    *("+model.extra=1", "++model.extra=2", "++new={a:{b:1}}", "~optimizer.weight_decay", "~callbacks.progress"),
    *("callbacks.museval=null", "data.gain=[0.5,1.5]", "data={batch_size:3}", "+data={more:[1,2]}", "plugins=[json]"),
    *("data.segment_seconds=${model.stft.fft_size}", "name=x${seed}y", "paths.out='a b'", "paths.out=a\\=b"),
    *("data.augmentations=[{shift:{max_seconds:1}},gain]", "data.sources=[a,${name}]", "sweep_name=''", "name=null"),
    *("model.hidden_size=${oc.env:UNMIX_NONE,64}", "trainer.max_epochs=???", "~seed=42", "model.stft.fft_size=2.5"),
)
REFUSED = [
    "model.hiden_size=3",
    "+model.hidden_size=3",
    "~model.nothing",
    "~seed=43",
    "model=umy",
    "++model=umx",
    "data.gain.low=1",
    "target=a,b",
    "paths.more=1",
    "hydra.nothing=1",
    "no_group@here=x",
    "checkpoint=3",
]


def by_hydra(config_name, overrides, with_hydra=False):
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, list(overrides), return_hydra_config=with_hydra)


def shape(node):
    """Everything about a configuration: values, types, flags, and the schema of its nodes."""
    flags = (node._metadata.flags, node._metadata.object_type, node._metadata.ref_type, node._metadata.optional)
    content = node._content if isinstance(node, DictConfig | ListConfig) else node._val
    if isinstance(content, dict):
        content = {key: shape(child) for key, child in content.items()}
    elif isinstance(content, list):
        content = [shape(child) for child in content]
    return (type(node), flags, content)


def assert_same(config_name, bases, overrides, with_hydra=False):
    expected = by_hydra(config_name, overrides, with_hydra)
    for _ in range(3):  # by Hydra, which makes the base, and from the base
        composed = bases.compose(overrides, with_hydra=with_hydra)
        assert shape(composed) == shape(expected)
        assert written(composed) == OmegaConf.to_container(expected, resolve=False)


@pytest.fixture(scope="module")
def bases():
    """Bases that hold the one without choices, so that it is used."""
    made = Bases("train", CONF)
    for _ in range(2):
        made.compose([], with_hydra=False)
    return made


@pytest.mark.slow
@given(
    st.lists(st.sampled_from(CHOICES), max_size=2, unique=True),
    st.lists(st.sampled_from(VALUES), max_size=4),
    st.booleans(),
)
@settings(max_examples=8, deadline=None)
def test_any_overrides_give_what_hydra_gives(bases, choices, values, with_hydra):
    overrides = [*choices, *values]
    try:
        by_hydra("train", overrides)
    except Exception as error:  # these do not go together
        with pytest.raises(type(error)) as raised:
            bases.compose(overrides, with_hydra=with_hydra)
        assert str(raised.value) == str(error)
    else:
        assert_same("train", bases, overrides, with_hydra)


@pytest.mark.slow
@pytest.mark.parametrize("value", VALUES)
def test_every_kind_of_value_gives_what_hydra_gives(bases, value):
    assert shape(bases.compose([value], with_hydra=False)) == shape(by_hydra("train", [value]))


def test_many_values_together_give_what_hydra_gives(bases):
    together = [value for value in VALUES if not value.startswith(("~", "+data", "data=", "paths.out=a"))]
    assert shape(bases.compose(together, with_hydra=False)) == shape(by_hydra("train", together))


@pytest.mark.slow
@pytest.mark.parametrize("override", REFUSED)
def test_what_hydra_refuses_is_refused_in_its_words(bases, override):
    with pytest.raises(Exception, match=r"\S") as expected:
        by_hydra("train", ["seed=1", override])
    with pytest.raises(type(expected.value)) as raised:
        bases.compose(["seed=1", override], with_hydra=False)
    assert str(raised.value) == str(expected.value)


GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in CONF.iterdir()
    if folder.is_dir() and folder.name != "wandb"
}
ROUNDS = range(max(map(len, GROUPS.values())))


@pytest.mark.slow
@pytest.mark.parametrize("index", ROUNDS)
def test_every_file_of_every_group_gives_what_hydra_gives(index):
    files = [f"{group}={names[index]}" for group, names in GROUPS.items() if index < len(names)]
    assert_same("train", Bases("train", CONF), [*files, "seed=3"])


def test_groups_of_a_user_are_choices_and_their_keys_values(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "optics").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("defaults: [umx]\nhidden_size: 8\n")
    (tmp_path / "optics" / "lens.yaml").write_text("# @package _global_\nname: lens\nmodel: {dropout: 0.1}\n")
    overrides = ["model=mine", "+optics=lens", "model.num_layers=1", "target=drums"]
    bases = Bases("train", CONF, tmp_path)
    expected = by_hydra("train", [f"hydra.searchpath=['file://{tmp_path}']", *overrides])
    for _ in range(3):
        assert shape(bases.compose(overrides, with_hydra=False)) == shape(expected)


def test_configurations_of_one_base_share_nothing(bases):
    first, second = (bases.compose(["seed=5"], with_hydra=False) for _ in range(2))
    first.model.hidden_size = 1
    first.data.gain[0] = 0.75
    third = bases.compose(["seed=5"], with_hydra=False)
    assert shape(second) == shape(third) == shape(by_hydra("train", ["seed=5"]))


def test_hydra_composes_each_choice_at_most_twice(monkeypatch):
    bases, calls = Bases("train", CONF), []
    compose_by_hydra = bases._by_hydra
    monkeypatch.setattr(bases, "_by_hydra", lambda *a, **k: calls.append(a) or compose_by_hydra(*a, **k))
    for seed in range(5):
        for model in ("umx", "umx_small"):
            bases.compose([f"seed={seed}", f"model={model}"], with_hydra=False)
    assert len(calls) == 4


def test_a_changed_file_is_read_again(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("a: 1\n")
    assert [shared("c", tmp_path).compose([], with_hydra=False).a for _ in range(3)] == [1, 1, 1]
    file.write_text("a: 22\n")
    assert shared("c", tmp_path).compose([], with_hydra=False).a == 22


def test_composition_leaves_the_state_of_hydra_as_it_was():
    before = GlobalHydra.instance().hydra
    compose("train", ["seed=1"])
    compose("train", ["seed=1"])
    assert GlobalHydra.instance().hydra is before
