import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from unmix.composition import CONF, compose
from unmix.identity import experiment_id
from unmix.usage import read_file

pytestmark = pytest.mark.slow

SAME = [
    "target=bass",
    "seed=7",
    "data.root=/somewhere/else",
    "data.download=true",
    "data.num_workers=3",
    "trainer.gpus=0",
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=1",
    "checkpoint.every_minutes=1",
    "fresh=true",
    "retry=true",
    "on_busy=fail",
    "slots=4",
    "run_dir=/somewhere",
    "trainer=ddp_cpu",
    "paths.out=/tmp/elsewhere",
    "logger=wandb",
    "separator.niter=0",
    "plugins=[json]",
    "callbacks.progress=null",
    "callbacks.museval.every_n_epochs=3",
    "callbacks.listening.every_n_epochs=0",
    "model.hidden_size=512.0",
    "data.augmentations=[gain,swap]",
    "data.track_weights=uniform",
]
DIFFERENT = [
    "name=other",
    "model.hidden_size=256",
    "model.bidirectional=false",
    "optimizer.lr=2e-3",
    "scheduler.patience=3",
    "callbacks.early_stopping.patience=10",
    "trainer.precision=bf16-mixed",
    "data.name=mine",
    "data.segment_seconds=3",
    "data.batch_size=8",
    "model.stft.hop_size=512",
    "data.validation_tracks=[a]",
    "data.sources=[vocals,drums]",
    "data.repeat_epoch=true",
    "data.gain=[0.5,1.5]",
    "data.swap_probability=0.25",
    "data.random_mix=false",
    "data.augmentations=[gain]",
    "data.augmentations=[gain,swap,polarity]",
    "data.augmentations=[gain,swap,{shift:{max_seconds:1}}]",
    "data.track_weights=duration",
    "model.trainable_statistics=false",
    "model.mask=sigmoid",
    "callbacks=ema",
    "trainer.matmul_precision=high",
    "optimizer.fused=true",
    "optimizer=adamw",
    "objective=waveform_l1",
    "scheduler=cosine",
]


def identity(*overrides):
    return experiment_id(compose("train", list(overrides)))


@pytest.mark.slow
@settings(deadline=None, max_examples=10)
@given(st.lists(st.sampled_from(SAME), unique_by=lambda override: override.split("=")[0]))
def test_what_cannot_change_the_result_does_not_change_the_identity(overrides):
    ordered = sorted(overrides, key=lambda override: not override.startswith("trainer=ddp"))
    assert identity(*ordered) == identity()


@pytest.mark.parametrize("override", DIFFERENT)
def test_what_can_change_the_result_changes_the_identity(override):
    assert identity(override) != identity()


@pytest.mark.slow
def test_every_difference_makes_an_identity_of_its_own():
    assert len({identity(override) for override in DIFFERENT}) == len(DIFFERENT)


def test_identity_is_the_name_and_eight_hex_digits():
    name, _, digits = identity("name=mine").rpartition("-")
    assert name == "mine"
    assert len(digits) == 8
    int(digits, 16)


def test_a_schedule_that_depends_on_the_length_makes_the_length_count():
    schedule = "scheduler={_target_: torch.optim.lr_scheduler.CosineAnnealingLR, T_max: '${trainer.max_epochs}'}"
    ids = {identity("~scheduler", f"+{schedule}", f"trainer.max_epochs={epochs}") for epochs in (10, 20)}
    assert len(ids) == 2


def test_run_folder_is_found_from_the_configuration_alone():
    cfg = compose("train", ["target=bass", "seed=3", "paths.out=/o"])
    assert cfg.run_dir == f"/o/runs/{identity()}/bass-s3"


@pytest.mark.parametrize("path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_identity_of_a_recipe_stays_what_the_comment_on_its_name_says(path):
    """Runs of these are on people's disks, which a change orphans: a new option belongs in IGNORED_IF_DEFAULT."""
    needed, _, pinned = read_file(path).comments.get("name", "").removeprefix("id").strip().rpartition(": ")
    overrides = [f"experiment={path.stem}", *filter(None, [needed.removeprefix("with ")])]
    assert pinned == identity(*overrides), f"name: {path.stem} # id: {identity(*overrides)}"


def test_the_identity_of_the_preview_stays_what_it_was_before_data_download():
    assert identity("data=musdb18_preview") == "umx-2a9ebc46"
    assert identity("data=musdb18_preview", "data.download=false") == "umx-2a9ebc46"


@pytest.mark.parametrize("argument", ["model.mask=relu", "model.trainable_statistics=true", "objective.window=hann"])
def test_an_argument_of_a_class_of_ones_own_counts_whatever_its_value(argument):
    key = argument.partition("=")[0]
    node = key.partition(".")[0]
    ours = {"model": "model=umx", "objective": "objective=complex_rmse"}[node]
    assert identity(ours, argument) == identity(ours, f"~{key}")
    own = [ours, f"{node}._target_=my_package.Mine", "plugins=[tests]"]
    assert identity(*own, argument) != identity(*own, f"~{key}")


@pytest.mark.slow
@given(st.permutations(["data", "model", "trainer", "optimizer", "name"]))
@settings(deadline=None, max_examples=10)
def test_the_order_of_keys_does_not_change_the_identity(first):
    cfg = compose("train", [])
    ordered = [*first, *(str(key) for key in cfg if key not in first)]
    assert experiment_id(OmegaConf.masked_copy(cfg, ordered)) == identity()
