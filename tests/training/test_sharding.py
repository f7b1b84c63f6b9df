"""Eight virtual devices in a process of their own, and two real processes that share a run: equal to one device."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from perceiver_lab import cli
from perceiver_lab.training import make_mesh, parse_mesh, start_processes

ROOT = Path(__file__).parents[2]
MESHES = Path(__file__).with_name("meshes.py")
# Small programs: the time goes to the compiler.
SMALL = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    """What `meshes.py` found out on eight devices."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, str(MESHES), str(tmp_path_factory.mktemp("meshes"))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_eight_devices_train_as_one_does_and_go_on_from_each_others_checkpoints(facts):
    assert facts["devices"] == 8
    alone = facts["losses"]["one device"]
    assert len(alone) == 20
    assert np.ptp(alone) > 0.1  # something was learned that could have been learned otherwise
    assert len(facts["losses"]) == 4
    for name, losses in facts["losses"].items():
        np.testing.assert_allclose(losses, alone, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_slices_of_the_inputs_give_outputs_and_gradients_of_the_whole(facts):
    assert len(facts["attention"]) == 6
    for name, difference in facts["attention"].items():
        assert difference <= 1e-4, name


@pytest.mark.slow
def test_what_devices_hand_to_each_other_does_not_grow_with_the_inputs(facts):
    few, many = facts["steps"]  # 64 and 1,024 inputs
    assert few["collectives"] == many["collectives"] > 0
    assert few["bytes"] == many["bytes"] > 0


@pytest.mark.slow
def test_each_device_holds_its_part_and_a_step_gives_the_old_parts_away(facts):
    for step, side in zip(facts["steps"], (8, 32), strict=True):
        assert step["image"] == [1, side // 2, side, 1]  # of 4 pictures
        assert step["kernel"] == [[16, 16], [8, 16]]
        assert step["moment"] == [8, 16]
        assert step["given away"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("devices", "data=3 x fsdp=1 x inputs=1 takes 3 devices, which does not divide the 8"),
        ("batch", "data x fsdp = 4 devices, which does not divide its 6 records"),
        ("inputs", "inputs=2 does not divide the 63 inputs"),
        ("whole inputs", "Linear reads them whole"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(facts, request_, words):
    assert words in facts["refusals"][request_]


def test_a_mesh_is_written_as_axes_and_sizes():
    assert parse_mesh("data=2, inputs=4") == {"data": 2, "fsdp": 1, "inputs": 4}
    assert make_mesh(parse_mesh("data=1")).shape == {"data": 1, "fsdp": 1, "inputs": 1}


@pytest.mark.parametrize(
    "text", ["", "data", "data=0", "data=-2", "data=two", "model=2", "data=2,data=2", "data=2;fsdp=2"]
)
def test_anything_else_is_no_mesh(text):
    with pytest.raises(ValueError, match="Write each of data, fsdp, inputs at most once"):
        parse_mesh(text)


def test_processes_are_joined_only_where_the_environment_says_how(monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "two")
    with pytest.raises(ValueError, match="JAX_PROCESS_ID.*None.*Start each process with"):
        start_processes()


def test_the_command_says_what_it_lacks(capsys):
    assert cli.main(["train", "digits_perceiver", "--distributed"]) == 2
    assert "--distributed wants --mesh" in capsys.readouterr().err
    assert cli.main(["train", "digits_perceiver", "--mesh", "depth=2"]) == 2
    assert "'depth=2' in the mesh" in capsys.readouterr().err


def command(folder, *more):
    settings = {"steps": 40, "log_every": 1, "checkpoint_every": 10, "batch_size": 16, "test_part": "[:100]"}
    settings = {f"budgets.ci.{name}": value for name, value in settings.items()}
    settings |= dict.fromkeys(("model.num_reads", "model.num_blocks", "model.num_self_attends_per_block"), 1)
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words = ["train", "digits_perceiver", "--mode", "ci", "--quiet", "--folder", str(folder), *given, *more]
    return [sys.executable, "-m", "perceiver_lab.cli", *words]


def losses(folder):
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


def start(folder, number, port, environment):
    environment = environment | {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": str(number),
    }  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command(folder, "--mesh", "data=2", "--distributed"), env=environment, **pipes)


@pytest.mark.slow
def test_two_processes_train_as_one_does_until_one_is_killed_and_the_other_goes_on_alone(tmp_path):
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    environment = {**os.environ, **SMALL, "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [start(shared, number, port, environment) for number in range(2)]
    while not (shared / "step_00000020").exists() and all(one.poll() is None for one in processes):
        time.sleep(0.02)
    processes[1].kill()
    said, _ = processes[0].communicate(timeout=120)
    processes[1].communicate(timeout=60)
    assert processes[0].returncode == 3, said
    assert "another one, or the way to it, is gone. Start the run again with --resume" in said
    assert f"it goes on from the checkpoint {shared}/step_000000" in said

    for folder in (alone, shared):
        done = subprocess.run(command(folder, "--resume"), capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    assert len(losses(shared)) == len(losses(alone)) == 40
    np.testing.assert_allclose(losses(shared)[:20], losses(alone)[:20], rtol=0, atol=1e-5)
    # Rounding grows from step to step, and 20 are what is promised.
    np.testing.assert_allclose(losses(shared), losses(alone), rtol=0, atol=1e-4)
