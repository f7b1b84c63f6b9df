"""The benchmarks of context measure any lengths; here short ones."""

import importlib.util
import json
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


def script(name):
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_step_of_each_model_is_counted_and_timed():
    context = script("context")
    context.CHANNELS, context.BLOCKS = 16, 2
    for name in context.MODELS:
        found = context.measure(name, 8 if name != "perceiver_ar" else 128, gibibytes=1.0, repeats=1)
        assert found["flops"] > 0 and found["mebibytes"] > 0 and found["milliseconds"] > 0
        assert found["answers"] == (128 if name == "perceiver_ar" else 8)
    kept = context.measure("transformer", 8, gibibytes=0.0, repeats=1)
    assert kept["milliseconds"] is None and kept["mebibytes"] > 0


def test_what_was_measured_before_is_kept_and_judged(tmp_path, monkeypatch, capsys):
    long_context = script("long_context")
    output = tmp_path / "long_context.json"
    case = {"seconds": 2.0, "processor_seconds": 4.0, "steps": 1, "gibibytes": 1.0, "nats": [5.557]}
    output.write_text(json.dumps({"contexts": {"512": case}}))
    measured = json.dumps(case | {"seconds": 4.0, "processor_seconds": 16.0})
    monkeypatch.setattr(
        long_context.subprocess,
        "run",
        lambda command, **_: long_context.subprocess.CompletedProcess(command, 0, measured),
    )
    monkeypatch.setattr(sys, "argv", ["long_context.py", "--contexts", "1024", "--output", str(output)])
    long_context.main()
    found = json.loads(output.read_text())
    assert list(found["contexts"]) == ["512", "1024"]
    assert list(found["targets"].values()) == [True, False, True]
    assert "slope of seconds over context 1.000" in capsys.readouterr().out


def test_a_step_of_the_copy_task_learns_from_its_mirrored_half():
    found = script("long_context").measure(64, 2, latents=16, channels=16, layers=1)
    assert found["nats"][0] == pytest.approx(5.557, abs=1e-3)  # ln 259: the logits start from zero
    assert found["processor_seconds"] > 0 and found["gibibytes"] > 0
