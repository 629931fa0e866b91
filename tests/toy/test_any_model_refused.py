"""What can be wrong with a plugin, its model or its objective: one line, and nothing written."""

import pytest
import torch

from unmix.weights.find import load_separator

pytestmark = pytest.mark.slow


@pytest.fixture
def train(toy, refused, tmp_path):
    def run(*arguments):
        return refused("train", *toy, *arguments, f"paths.out={tmp_path / 'out'}")

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plugins=[]"], "model._target_: got the class 'my_package.model.MyModel', allowed are those of unmix"),
        (["plugins=[my_pakage]"], "plugins: there is no package 'my_pakage' in the working directory, on PYTHONPATH"),
        (["plugins=[my_package.model]"], "plugins: 'my_package.model' is a module, not a package"),
        (["model._target_=my_package.broken.NoModule"], "broken.NoModule is not a model: it needs to be a torch.nn"),
        (["model._target_=my_package.broken.WrongShape"], "WrongShape returned (1, 4, 2, 7999) for a mixture of (1, 2"),
        (
            ["model._target_=my_package.broken.OneTargetLess"],
            "(batch, targets, channels, samples) = (1, 4, 2, 8000)",
        ),
        (["model._target_=my_package.broken.NotANumber"], "model: NotANumber returned NaN or infinity"),
        (["model._target_=my_package.broken.Fails"], "model: Fails failed on a second of noise, (1, 2, 8000): Runtime"),
        (["model.sample_rate=16000"], "model.sample_rate: got 16000, data.sample_rate is 8000: the two must be the"),
        (["model.num_channels=1"], "has 2: the two must be the same"),
        (["target=vocals", "model.targets=[drums]"], "target: got vocals, but model=MyModel estimates drums; the two"),
        (["target=[vocals,vocals]"], "target: got vocals, vocals, which names vocals twice"),
        (["target=al"], "target: got 'al', allowed vocals, drums, bass, other, all; did you mean 'all'?"),
        (
            ["objective=magnitude_mse"],
            "objective: magnitude_mse needs a model with `stft` and `magnitudes",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_training_that_cannot_be_is_refused_before_anything_is_written(train, arguments, message):
    assert message in train(*arguments)


def test_an_objective_that_fails_is_refused_before_anything_is_written(train):
    message = train("objective=needs_spectrograms")
    assert "objective: my_package.broken.needs_spectrograms cannot serve MyModel: AttributeError" in message
    assert message.endswith("object has no attribute 'spectrogram'; HYDRA_FULL_ERROR=1 shows where")


def test_a_model_whose_folder_was_not_named_is_refused_with_the_option_that_names_it(refused):
    message = refused("train", "model=my_model")
    assert "model: got 'my_model', allowed " in message
    assert message.endswith("; --config-dir=... adds a folder of your own")
    assert "my_cnf is not a folder; it holds groups as conf/ does" in refused("train", "--config-dir", "my_cnf")


def test_a_mistyped_key_is_compared_with_those_of_the_user_s_own_file(toy, refused):
    message = refused("train", *toy, "--config-dir", "my_conf", "model.depht=3")  # which may stand anywhere
    assert message.endswith("kernel_size, chunk_seconds; did you mean 'depth'?")
    message = refused("train", *toy, "callbacks=my_callbacks", "callbacks.stps=null")
    assert message.endswith("gradients, steps; did you mean 'steps'?")


def test_several_targets_of_a_model_of_one_name_the_sweep(small, refused, tmp_path):
    message = refused("train", "experiment=demo", *small, "target=all", f"paths.out={tmp_path / 'out'}")
    assert "but Open-Unmix is one network per target: sweep=targets (or -m target=vocals,drums,...)" in message


@pytest.mark.parametrize("command", ["evaluate", "separate", "export"])
def test_a_checkpoint_of_a_package_that_is_not_a_plugin_is_refused(refused, toy_run, song, command):
    options = [f"input={song}"] if command == "separate" else []
    message = refused(command, f"ckpt={toy_run}", *options)
    assert "got the class 'my_package.model.MyModel', allowed are those of unmix" in message
    assert message.endswith("if you trust the package, add 'plugins=[my_package]'")


def test_a_class_that_has_changed_since_is_named(refused, write_checkpoint, song, tmp_path):
    path = write_checkpoint(tmp_path / "a.ckpt", ["bass"])
    content = torch.load(path, weights_only=True)
    content["unmix"]["config"]["model"]["stride"] = 2
    torch.save(content, path)
    message = refused("separate", f"ckpt={path}", "plugins=[my_package]", f"input={song}")
    assert "my_package.model.MyModel cannot be built as it was for training" in message
    assert "unexpected keyword argument 'stride'" in message


def test_models_that_differ_in_rate_or_channels_are_not_joined(refused, write_checkpoint, song, tmp_path):
    bass = write_checkpoint(tmp_path / "bass.ckpt", ["bass"])
    others = {"16000 Hz, 2 channels": {"sample_rate": 16000}, "8000 Hz, 1 channel": {"num_channels": 1}}
    for described, other in others.items():
        rest = write_checkpoint(tmp_path / "rest.ckpt", ["vocals", "drums"], **other)
        message = refused("separate", f"ckpt=[{bass},{rest}]", "plugins=[my_package]", f"input={song}")
        assert "ckpt: these models differ in sample rate or channels and cannot be joined: " in message
        assert f"vocals, drums: {described}" in message


def test_an_experiment_that_lacks_a_source_names_it_and_the_command(refused, write_checkpoint, tmp_path):
    path = write_checkpoint(
        tmp_path / "experiment" / "vocals+bass-s42" / "checkpoints" / "best.ckpt", ["vocals", "bass"]
    )
    message = refused("evaluate", f"ckpt={path.parents[2]}", "plugins=[my_package]")
    assert "and lacks drums, other; museval scores all together: train the rest" in message


def test_a_filter_of_open_unmix_is_refused_for_other_models(toy_run):
    with pytest.raises(ValueError, match=r"separator.softmask: only for Open-Unmix networks; leave it at False"):
        load_separator(toy_run, plugins=["my_package"], softmask=True)


def test_estimates_that_are_not_finite_do_not_become_stems(refused, write_checkpoint, song, tmp_path):
    path = write_checkpoint(tmp_path / "a.ckpt", ["bass"])
    content = torch.load(path, weights_only=True)
    content["state_dict"]["model.heads.bias"][0] = torch.inf
    torch.save(content, path)
    message = refused("separate", f"ckpt={path}", "plugins=[my_package]", f"input={song}", "separator.niter=0")
    assert "ckpt: MyModel returned NaN or infinity" in message
