"""The hint at the end of a command can be typed as it stands."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from unmix import next_steps
from unmix.quoting import quote_literal
from unmix.trained import MOST_COMPARED, next_step


@pytest.fixture
def typed(monkeypatch):
    """Makes this the command line, as the commands themselves read it."""

    def type_line(line):
        script, *words = shlex.split(line)
        monkeypatch.setattr("sys.argv", [script, *map(quote_literal, words)])

    return type_line


def test_arguments_that_name_models_and_data_hold_for_the_next_command(typed):
    typed("src/evaluate.py ckpt=outputs/runs/a data=own data.root=/m/x +data.rename.vocals=[a] separator.niter=2")
    taken = next_steps.from_command_line("ckpt", "data")
    assert taken[:3] == ["ckpt=outputs/runs/a", "data=own", "data.root=/m/x"]
    assert next_steps.from_command_line("paths") == []
    typed("src/evaluate.py --config-dir my_conf ckpt=a plugins=[mine]")
    assert next_steps.from_command_line("ckpt") == ["--config-dir", "my_conf", "ckpt=a", "plugins=[mine]"]


def test_values_are_quoted_for_the_shell_when_they_need_it(typed):
    typed("src/evaluate.py 'ckpt=outputs/my runs/a' 'data.root=/it'\"'\"'s here'")
    hint = next_steps.script("listen", *next_steps.from_command_line("ckpt", "data"))
    _, python, script, *words = shlex.split(hint)
    assert (python, script) == ("python", "src/listen.py")
    assert [quote_literal(word) for word in words] == ["ckpt='outputs/my runs/a'", "data.root='/it\\'s here'"]


def test_the_same_command_with_more(typed):
    typed("src/leaderboard.py sort=sdr paths.out=x")
    assert next_steps.again("serve=true") == "next: python src/leaderboard.py sort=sdr paths.out=x serve=true"


def planned(
    state="done",
    experiment="demo-1",
    weights=("vocals", "drums"),
    evaluation=None,
    has_test_tracks=True,
    folder="demo-1",
    root="/music",
):
    """A plan, as far as the hint looks at it."""
    return SimpleNamespace(
        state=state,
        experiment=experiment,
        run=Path(f"outputs/runs/{folder}/vocals-s1"),
        cfg=SimpleNamespace(data=SimpleNamespace(root=root)),
        sources=["vocals", "drums"],
        weights=dict.fromkeys(weights, "digest"),
        evaluation=evaluation,
        has_test_tracks=has_test_tracks,
    )


OTHER = planned(experiment="demo-2", folder="demo-2")
OTHER_SCORED = planned(experiment="demo-2", folder="demo-2", evaluation="eval")
MANY_SCORED = [planned(experiment=f"{n}", folder=f"{n}", evaluation="eval") for n in range(MOST_COMPARED)]


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        ([planned(weights=["vocals"])], "next: the same command with target=drums"),
        ([planned()], "next: python src/evaluate.py ckpt=outputs/runs/demo-1"),
        ([planned(evaluation="eval")], "next: python src/separate.py ckpt=outputs/runs/demo-1 input=song.wav"),
        ([planned(has_test_tracks=False)], "next: python src/separate.py ckpt="),
        ([planned(), OTHER], "next: python src/leaderboard.py"),
        (
            [planned(evaluation="eval"), OTHER_SCORED],
            "next: python src/evaluate.py 'ckpt=[outputs/runs/demo-1,outputs/runs/demo-2]'",
        ),
        ([planned(evaluation="eval"), OTHER], "next: python src/leaderboard.py"),
        ([planned(evaluation="eval", root="/more"), OTHER_SCORED], "next: python src/leaderboard.py"),
        ([planned(evaluation="eval"), *MANY_SCORED], "next: python src/leaderboard.py"),
        ([planned(), planned(state="failed")], ""),
        ([planned(experiment="other")], ""),
    ],
)
def test_after_a_training_comes_the_next_target_then_the_scores_then_a_song(typed, plans, expected):
    typed("src/train.py experiment=demo")
    hint = next_step(plans)
    assert hint.startswith(expected)
    assert bool(hint) == bool(expected)
