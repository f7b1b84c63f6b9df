"""The command line: what it prints, its exit codes, and that every refusal says why."""

import json
import subprocess
import sys

import pytest

from perceiver_lab import cli
from tests.recipes.tiny import install


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    return install(monkeypatch, tmp_path)


@pytest.fixture
def run(capsys):
    """A function: arguments -> (exit code, stdout, stderr)."""

    def call(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse
            code = ended.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_train_list_evaluate(tiny, run, tmp_path):
    code, out, _ = run("train", "tiny", "--mode", "ci", "--folder", tmp_path / "run", "--quiet")
    assert (code, "seed 0: test accuracy" in out) == (0, True)
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    code, out, _ = run("evaluate", "tiny", "--mode", "ci", "--folder", tmp_path / "run")
    assert code == 0
    assert out.startswith("tiny: test accuracy ")
    assert run("list") == (0, "tiny: bright or dark\n", "")


def test_every_seed_of_the_budget(tiny, run, tmp_path):
    code, out, _ = run("train", "tiny", "--folder", tmp_path / "run", "--quiet")
    assert code == 0
    assert "seed 3: " in out
    assert "seed 4: " in out
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["seed_3", "seed_4"]


def test_settings_reach_the_model(tiny, run, tmp_path):
    arguments = ("train", "tiny", "--mode", "ci", "--folder", tmp_path / "run", "--quiet", "--seed", 7)
    assert run(*arguments, "--set", "model.width=5", "--set", "optimizer.name=lamb")[0] == 0
    about = json.loads((tmp_path / "run" / "weights.json").read_text())
    assert (about["model"]["width"], about["optimizer"]["name"], about["seed"]) == (5, "lamb", 7)


def test_a_second_time_wants_resume(tiny, run, tmp_path):
    arguments = ("train", "tiny", "--mode", "ci", "--folder", tmp_path / "run", "--quiet")
    assert run(*arguments)[0] == 0
    code, _, err = run(*arguments)
    assert code == 2
    assert "holds a run of 3 steps" in err
    assert "--resume" in err
    assert run(*arguments, "--resume")[0] == 0


def test_ship_and_reproduce(tiny, run, tmp_path):
    assert run("train", "tiny", "--ship", "--quiet")[0] == 0
    assert "[ships: " in run("list")[1]
    assert run("evaluate", "tiny")[0] == 0
    code, out, _ = run("reproduce", "tiny", "--folder", tmp_path / "again", "--quiet")
    assert code == 0
    assert "equal in every digit" in out


def test_a_result_alone_is_listed_and_reproduced(tiny, run, tmp_path):
    assert run("train", "tiny", "--ship", "result", "--quiet")[0] == 0
    assert "[its result ships: " in run("list")[1]
    assert "No weights ship for 'tiny'" in run("evaluate", "tiny")[2]
    assert "equal in every digit" in run("reproduce", "tiny", "--folder", tmp_path / "again", "--quiet")[1]


def test_a_result_that_is_not_reproduced(tiny, run, tmp_path):
    run("train", "tiny", "--ship", "--quiet")
    path = tmp_path / "data" / "weights" / "tiny.json"
    about = json.loads(path.read_text())
    about["seeds"][str(about["seed"])] |= {"accuracy": 0.2, "accuracy_low": 0.1, "accuracy_high": 0.3}
    path.write_text(json.dumps(about))
    code, out, _ = run("reproduce", "tiny", "--folder", tmp_path / "again", "--quiet")
    assert code == 1
    assert "outside the stored 95 % interval of accuracy, 0.1-0.3" in out
    about["seeds"][str(about["seed"])] |= {"accuracy_high": 1.0}
    path.write_text(json.dumps(about))
    code, out, _ = run("reproduce", "tiny", "--folder", tmp_path / "again", "--resume", "--quiet")
    assert code == 0
    assert "within the stored 95 % interval" in out


def test_weights_of_another_version_are_listed_as_such(tiny, run, tmp_path):
    run("train", "tiny", "--ship", "--quiet")
    path = tmp_path / "data" / "weights" / "tiny.json"
    path.write_text(path.read_text().replace(tiny.fingerprint("full"), "0" * 64))
    assert "made by another version" in run("list")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train tidy", "There is no recipe 'tidy'. Did you mean 'tiny'"),
        ("train tiny --mode fast", "invalid choice: 'fast'"),
        ("train tiny --set model.widht=3", "There is no setting 'model.widht'. Did you mean 'model.width'"),
        ("train tiny --set model.width", "write it as key=value"),
        ("train tiny --set model.width=wide", "model.width=wide cannot be read"),
        ("train tiny --mode ci --ship", "--ship wants the recipe as it stands"),
        ("evaluate tiny", "No weights ship for 'tiny'"),
        ("evaluate tiny --folder nowhere", "nowhere/weights.json cannot be read"),
        ("reproduce tiny", "nothing to compare with"),
        ("train", "the following arguments are required: NAME"),
        ("", "the following arguments are required: COMMAND"),
        ("dance", "invalid choice: 'dance'"),
    ],
)
def test_refusals(tiny, run, arguments, said):
    code, _, err = run(*arguments.split())
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_written(tiny, run, tmp_path):
    (tmp_path / "file").write_text("x")
    code, _, err = run("train", "tiny", "--mode", "ci", "--folder", tmp_path / "file" / "run", "--quiet")
    assert code == 2
    assert "cannot be made" in err


def test_a_run_that_diverges(tiny, run, tmp_path):
    wild = ("--set", "optimizer.learning_rate=1e30", "--set", "optimizer.clip=none")
    code, _, err = run("train", "tiny", "--mode", "lab", "--folder", tmp_path / "run", "--quiet", *wild)
    assert code == 1
    assert "Training stopped at step" in err


def test_interrupted(tiny, run, monkeypatch):
    from perceiver_lab import recipes

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes, "run", interrupt)
    code, _, err = run("train", "tiny", "--mode", "ci")
    assert code == 130
    assert "--resume goes on" in err


def test_as_a_program():
    """Help comes without JAX, so it comes at once."""
    check = (
        "import sys; from perceiver_lab import cli\ntry: cli.main(['--help'])\nfinally: assert 'jax' not in sys.modules"
    )
    process = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert "reproduce" in process.stdout
