"""The loop: what it reports, when it stops, and that an interruption leaves no trace."""

import json

import numpy as np
import pytest

from perceiver_lab.training import NonFiniteLossError


def test_history_file_and_callbacks(start, tmp_path):
    lengths = []
    result = start(
        7,
        tmp_path / "run",
        evaluate=lambda model: {"accuracy": 0.5},
        evaluate_every=4,
        callbacks=[lambda history: lengths.append(len(history))],
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines == result.history.records
    assert [line["step"] for line in lines] == [3, 4, 6, 7, 7]
    assert set(lines[0]) == {"step", "loss", "grad_norm", "accuracy", "seconds"}
    assert result.history.curve("test_accuracy") == ([4, 7], [0.5, 0.5])
    assert lengths == [1, 2, 3, 4, 5]
    assert "5 records of accuracy" in repr(result.history)


def test_a_record_is_the_mean_since_the_last_one(start):
    fine = start(6, log_every=1).history.curve("loss")[1]
    coarse = start(6, log_every=3).history.curve("loss")[1]
    np.testing.assert_allclose(coarse, [np.mean(fine[:3]), np.mean(fine[3:])], rtol=1e-6)


def test_resumed_is_the_same_as_uninterrupted(start, assert_same, tmp_path):
    whole = start(10, tmp_path / "whole")
    stream = start.stream()
    stream.spoilt = 6  # the run dies in step 7, after the checkpoint at 4
    with pytest.raises(NonFiniteLossError):
        start(10, tmp_path / "parts", stream=stream)
    assert_same(start(10, tmp_path / "parts"), whole)
    assert_same(start(10, tmp_path / "parts"), whole)  # finished: nothing is done again


def test_a_broken_pixel_stops_the_run(start, tmp_path):
    stream = start.stream()
    stream.spoilt = 6
    with pytest.raises(
        NonFiniteLossError, match=r"stopped at step 7, on records \[36, 37, 38, 39, 40, 41\]: loss nan"
    ) as e:
        start(10, tmp_path / "run", stream=stream)
    assert (e.value.step, e.value.records.tolist()) == (7, list(range(36, 42)))
    assert e.value.checkpoint == tmp_path / "run" / "step_00000004"
    assert str(e.value.checkpoint) in str(e.value)
    # Nothing was saved after it, not even by the next checkpoint in line.
    assert [path.name for path in sorted((tmp_path / "run").glob("step_*"))] == ["step_00000004"]


def test_broken_in_the_last_step(start):
    stream = start.stream()
    stream.spoilt = 4
    with pytest.raises(NonFiniteLossError, match=r"step 5.*No checkpoint was kept"):
        start(5, stream=stream)


def test_an_infinite_loss_stops_too(start):
    def loss_fn(model, batch, rngs):
        return model(batch["image"], train=True, rngs=rngs).sum() * np.float32(np.inf), {}

    with pytest.raises(NonFiniteLossError, match="step 1"):
        start(3, loss_fn=loss_fn)


def test_bad_arguments(start, tmp_path):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        start(0)
    with pytest.raises(ValueError, match=r"batches that can be resumed.*generator"):
        start(3, tmp_path / "run", stream=(batch for batch in start.stream()))
    start(6, tmp_path / "long")
    with pytest.raises(ValueError, match="holds a run of 6 steps already, and 5 were asked for"):
        start(5, tmp_path / "long")


def test_a_state_that_is_no_json(start, tmp_path):
    stream = start.stream()
    stream.get_state = lambda: b"bytes"
    with pytest.raises(ValueError, match=r"get_state\(\) returned bytes that is not JSON"):
        start(3, tmp_path / "run", stream=stream)


def test_a_line_cut_short_is_dropped_and_a_broken_one_named(start, tmp_path):
    start(3, tmp_path / "run")
    log = tmp_path / "run" / "metrics.jsonl"
    with open(log, "a") as file:
        file.write('{"step": 9, "loss"')
    assert [record["step"] for record in start(6, tmp_path / "run").history] == [3, 6]
    log.write_text("no json\n")
    with pytest.raises(ValueError, match=r"metrics.jsonl has a line that is not JSON"):
        start(7, tmp_path / "run")
