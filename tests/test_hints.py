"""Words of Lightning, Hydra and other programs are answered with what to write here, and nothing is written."""

import pytest

from unmix.experiments import status
from unmix.experiments.status import Status


@pytest.fixture
def refused(cli, capfd, tmp_path):
    """Run a command that must be refused; return its one line."""

    def run(command, *arguments):
        out = [] if command in ("dashboard", "export") else [f"paths.out={tmp_path / 'out'}"]
        assert cli(command, *out, *arguments) == 2
        printed = capfd.readouterr()
        (line,) = printed.err.splitlines()
        assert not printed.out
        assert not (tmp_path / "out").exists()
        return line

    return run


@pytest.mark.parametrize(
    ("command", "argument", "expected"),
    [
        ("train", "trainer.accelerator=cpu", "trainer.gpus=0"),
        ("train", "+trainer.accelerator=gpu", "trainer.gpus=1"),
        ("train", "trainer.devices=1", "trainer.gpus=1"),
        ("train", "trainer.devices=-1", "trainer.gpus=-1"),
        ("train", "trainer.devices=auto", "trainer.gpus=-1"),
        ("train", "trainer.devices=[0,1]", "trainer.gpus=0 (the CPU), N or [i,j] (GPUs), or -1 (all GPUs)"),
        ("train", "trainer.strategy=ddp", "trainer.gpus=0 (the CPU), N or [i,j] (GPUs), or -1 (all GPUs)"),
        ("train", "evaluation.devices=2", "evaluation.gpus=2"),
        ("train", "device=cuda", "trainer.gpus=1"),
        ("evaluate", "trainer.accelerator=cpu", "evaluation.gpus=0"),
        ("separate", "device='cpu'", "gpus=0"),
    ],
)
def test_devices_are_chosen_by_gpus(refused, command, argument, expected):
    key = argument.partition("=")[0].lstrip("+")
    assert refused(command, argument) == f"{command}: {key}: no such key; write {expected}"


def test_a_word_for_devices_is_a_plain_mistake_elsewhere(refused):
    assert "device: got 'device', allowed ckpt, " in refused("export", "ckpt=x", "device=cpu")
    assert "did you mean" not in refused("train", "model.device=cpu")


@pytest.mark.parametrize(
    ("command", "argument", "expected"),
    [
        ("evaluate", "niter=2", "niter: no such key; did you mean 'separator.niter'?"),
        ("separate", "niter=2", "niter: no such key; did you mean 'separator.niter'?"),
        ("train", "max_epochs=3", "max_epochs: no such key; did you mean 'trainer.max_epochs'?"),
        ("train", "batch_size=4", "did you mean 'data.batch_size'?"),
        ("train", "early_stopping.patience=4", "did you mean 'callbacks.early_stopping.patience'?"),
        ("train", "trainer.lr=4", "trainer.lr: no such key; did you mean 'optimizer.lr'?"),
        ("train", "gpus=1", "did you mean 'trainer.gpus' or 'evaluation.gpus'?"),
        ("check", "num_workers=1", "did you mean 'data.num_workers'?"),
        ("leaderboard", "out=x", "did you mean 'paths.out'?"),
        ("train", "epochs=3", "epochs: no such key; did you mean 'trainer.max_epochs'?"),
        ("train", "learning_rate=3", "learning_rate: no such key; did you mean 'optimizer.lr'?"),
        ("train", "gpu=1", "gpu: no such key; did you mean 'trainer.gpus' or 'evaluation.gpus'?"),
        ("train", "targets=vocals", "targets: no such key; did you mean 'target' or 'model.targets'?"),
        ("train", "hydra.name=x", "hydra.name: got 'name', allowed run, sweep"),
        ("train", "model.stft.hop=3", "model.stft.hop: got 'hop', allowed fft_size, hop_size"),
    ],
)
def test_a_key_that_exists_elsewhere_is_named_in_full(refused, command, argument, expected):
    assert expected in refused(command, argument)


def test_a_typo_is_corrected_where_it_is_even_if_its_last_part_exists_elsewhere(refused):
    assert "data.seed" not in refused("train", "trainer.sed=1")
    assert "did you mean 'patience'?" in refused("train", "scheduler.patiense=1")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("metrics=[csdr,usdr,csdr]", "metrics: got csdr, usdr, csdr, which names csdr twice"),
        ("~logger", "~logger: a group cannot be deleted; write logger=none"),
        ("~scheduler", "~scheduler: a group cannot be deleted; write scheduler=... with one of cosine, plateau"),
        ("~logger=none", "write logger=none"),
        ("hydra.sweeper=optuna", "hydra.sweeper: got optuna, write hydra/sweeper=optuna, with a slash"),
        ("hydra.launcher=basic", "write hydra/launcher=basic, with a slash"),
        ("hydra.launcher=slrm", "write hydra/launcher=... with a slash; allowed basic, process, ray, slurm"),
        ("hydra/sweeper=ax", "hydra/sweeper: got 'ax', allowed basic, optuna"),
        (
            "logger=[csv,wandb]",
            "logger: got 'csv', allowed none, tensorboard, wandb; metrics.csv is written in any case",
        ),
        ("logger=csv", "metrics.csv is written in any case: leave csv out"),
        ("logger=null", "logger: got null, allowed none, tensorboard, wandb"),
        ("logger=mlflow", "--config-dir=... adds a folder of your own"),
    ],
)
def test_words_of_hydra_are_answered_with_what_to_write(refused, argument, expected):
    assert expected in refused("train", "experiment=demo", argument)


def test_entries_of_a_group_can_be_deleted(cli, capfd, tmp_path, train_arguments):
    options = [*train_arguments, f"paths.out={tmp_path}", "dry_run=true"]
    assert cli("train", *options, "~callbacks.early_stopping") == 0, capfd.readouterr()


def test_several_loggers_are_given_as_a_list(cli, capfd, tmp_path, train_arguments):
    options = [*train_arguments, f"paths.out={tmp_path}", "--cfg", "job"]
    assert cli("train", *options, "logger=[tensorboard,wandb]") == 0
    printed = capfd.readouterr().out
    assert "TensorBoardRun" in printed
    assert "WandbRun" in printed


@pytest.mark.parametrize("position", [1, 99])
def test_m_may_stand_anywhere(cli, capfd, tmp_path, train_arguments, position):
    arguments = [*train_arguments, f"paths.out={tmp_path}", "dry_run=true", "target=vocals,drums"]
    arguments.insert(position, "-m")
    assert cli("train", *arguments) == 0
    assert "2 jobs, none started" in capfd.readouterr().out


def test_flags_may_stand_anywhere_where_hydra_answers(cli, capfd):
    assert cli("train", "experiment=demo", "--cfg", "job", "target=drums") == 0
    assert "\ntarget: drums\n" in capfd.readouterr().out


def test_a_word_that_is_no_oracle_is_answered_with_all_oracles(refused):
    expected = "allowed oracle:irm1, oracle:irm2, oracle:ibm1, oracle:ibm2, oracle:mwf"
    assert refused("evaluate", "ckpt=oracle") == f"evaluate: ckpt: got 'oracle', {expected}"
    assert f"ckpt: got 'oracle:irm', {expected}" in refused("evaluate", "ckpt=oracle:irm")


def test_a_folder_named_oracle_is_a_folder(refused, tmp_path, monkeypatch):
    (tmp_path / "oracle").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "allowed oracle:" not in refused("evaluate", "ckpt=oracle")


def test_a_subset_that_is_none_is_refused(refused):
    message = "subset: got 'tests', allowed train, valid, test; did you mean 'test'?"
    assert message in refused("evaluate", "ckpt=oracle:irm1", "data=demo", "subset=tests")


def test_a_leaderboard_of_nothing_names_what_there_is(cli, capfd, tmp_path):
    for experiment in ("demo-0123abcd", "umx-0123abcd", "umx-89abcdef"):
        (tmp_path / "runs" / experiment / "vocals-s1").mkdir(parents=True)
        status.write(tmp_path / "runs" / experiment / "vocals-s1", Status(experiment, "done"))
    out = f"paths.out={tmp_path}"
    assert cli("leaderboard", out, "name=dem") == 2
    message = "name: got 'dem', allowed demo, umx; did you mean 'demo'?; a pattern such as '*dem*' matches several"
    assert message in capfd.readouterr().err
    assert cli("leaderboard", out, "group=umx") == 2
    assert "group: got 'umx', allowed demo-0123abcd, umx-0123abcd, umx-89abcdef" in capfd.readouterr().err
    assert not list(tmp_path.glob("leaderboard*"))
    assert cli("leaderboard", out, "name=demo") == 0
    table = (tmp_path / "leaderboard-demo.csv").read_text()
    assert "demo-0123abcd" in table
    assert "umx" not in table


@pytest.mark.parametrize(
    ("command", "argument", "expected"),
    [
        ("check", "experiment=demo", "experiment: got 'experiment', allowed data, "),
        ("evaluate", "model=umx", "model: got 'model', allowed ckpt, "),
        ("train", "experiment=demo", None),
    ],
)
def test_a_group_of_another_command_is_an_unknown_key(refused, command, argument, expected):
    if expected is None:
        assert "target: got 'no'" in refused(command, argument, "target=no")
    else:
        assert refused(command, argument).startswith(f"{command}: {expected}")


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--target=drums", "--target=drums: no such flag; write target=drums, --help lists keys and flags"),
        ("--experiment=demo", "--experiment=demo: no such flag; write experiment=demo, "),
        ("-x", "-x: no such flag; settings are written key=value, without dashes, "),
        ("--config-dir", "argument --config-dir/-cd: expected one argument"),
        ("=3", "=3: no key before =; settings are written key=value"),
    ],
)
def test_a_word_that_is_neither_flag_nor_setting_is_answered_in_one_line(refused, flag, expected):
    assert refused("train", "target=vocals", flag).startswith(f"train: {expected}")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("target=[vocals", "target: got [vocals, which cannot be read: a bracket or quote is left open, "),
        ("target=vocals,", "target: got vocals,, which cannot be read"),
        ("seed = 3", "seed = 3: got spaces around =; write seed=3"),
        (
            "target=vocals,drums",
            "target: got vocals,drums; several jobs need -m, a list is written target=[vocals,",
        ),
        ("paths=here", "paths: got here, a mapping is needed, written paths.<key>=<value>"),
        ("logger=null", "logger: got null, allowed none, "),
        ("logger={a:1}", "logger: it is empty here; choose what it is first, as logger=..."),
    ],
)
def test_what_hydra_cannot_read_is_explained_in_our_words(refused, argument, expected):
    assert refused("train", argument).startswith(f"train: {expected}")
