"""The stop button of a notebook: the state is saved, and the kernel goes on."""

import queue

import pytest
from jupyter_client.manager import start_new_kernel

SECONDS = 120
BEGIN = """
import jax, time
from pathlib import Path
from flax import nnx
from tests.training.conftest import Mixed, Stream
from perceiver_lab.training import Checkpointer, TrainingInterrupted, adamw, train

def begin(steps, callback):
    return train(
        Mixed(rngs=nnx.Rngs(0)), Stream(), steps=steps, optimizer=adamw(1e-2), log_every=1, callbacks=[callback],
        checkpointer=Checkpointer({folder!r}, fingerprint={{"config": "a"}}), progress=False,
    )

def slowly(history):
    print("at", history[-1]["step"], flush=True)
    time.sleep(0.02)
"""
TRAIN = "begin(100_000, slowly)"
GO_ON = """
import sys
error = sys.last_value
saved, step = error.saved, error.training.checkpoint.step
more = begin(step + 2, lambda history: None)
print(type(error).__name__, saved.name == f"step_{step:08d}", saved.is_dir(), more.checkpoint.step - step)
"""


def run(client, code, on_line=lambda line: None):
    """Execute a cell; returns its printed text and the name and value of its error."""
    request, printed, error = client.execute(code), "", None
    while True:
        message = client.get_iopub_msg(timeout=SECONDS)
        if message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        if message["msg_type"] == "stream" and content["name"] == "stdout":
            printed += content["text"]
            on_line(printed)
        elif message["msg_type"] == "error":
            error = (content["ename"], content["evalue"])
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            return printed, error


@pytest.mark.timeout(300)
def test_the_stop_button(tmp_path):
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=SECONDS)
    pressed = []

    def press(printed):
        if "at 3\n" in printed and not pressed:
            pressed.append(True)
            manager.interrupt_kernel()

    try:
        assert run(client, BEGIN.format(folder=str(tmp_path / "run")))[1] is None
        printed, (name, value) = run(client, TRAIN, press)
        assert name == "TrainingInterrupted" and "All of it is saved as" in value, value
        assert int(printed.split()[-1]) < 1000
        assert run(client, GO_ON) == ("TrainingInterrupted True True 2\n", None)
    except queue.Empty as error:
        raise AssertionError("the kernel says nothing any more") from error
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
