"""Files of weights: what is read, what is written and what is refused, in Python and from a shell."""

import functools
import json
import pickle
import random
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from perceiver_lab import cli, presets, training
from perceiver_lab.convert import CheckpointError, load_huggingface, to_haiku, to_huggingface
from perceiver_lab.convert.files import convert_file, read_safetensors
from perceiver_lab.convert.huggingface_config import huggingface_config, output_differences
from perceiver_lab.presets import registry
from perceiver_lab.training.files import file_sha256
from tests.convert.huggingface_models import KINDS, PRESETS, build, fixture

FOURIER, LEARNED, CONV = (f"PerceiverForImageClassification{kind}" for kind in ("Fourier", "Learned", "ConvProcessing"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A preset `tiny_CLASS` for each kind, of the fixture's size."""
    for kind in KINDS:
        config = fixture(kind).config
        monkeypatch.setitem(
            registry._PRESETS, f"tiny_{kind}", lambda *, rngs, kind=kind, config=config: build(kind, config, rngs=rngs)
        )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A function: class -> (model, the folder with its weights in the three forms), which is made once."""

    @functools.cache
    def write(kind):
        config, arrays, *_ = fixture(kind)
        model, folder = build(kind, config), tmp_path_factory.mktemp(kind)
        load_huggingface(model, arrays)
        params, state = to_haiku(model)
        (folder / "release.pystate").write_bytes(pickle.dumps({"params": params, "state": state}))
        save_file(arrays, folder / "theirs.safetensors", metadata={"format": "pt"})
        training.save_weights(folder / "ours.safetensors", model, {"preset": kind})
        return model, folder

    return write


@pytest.fixture
def sources(tmp_path, written):
    """A function: class -> (model, its weights in the three forms: files of this test's own)."""

    def copy(kind):
        model, folder = written(kind)
        for file in folder.iterdir():
            shutil.copy(file, tmp_path)
        release, theirs, ours = (
            tmp_path / name for name in ("release.pystate", "theirs.safetensors", "ours.safetensors")
        )
        return model, {"release": release, "huggingface": theirs, "perceiver_lab": ours}

    return copy


def equal(model, other):
    ours, theirs = (jax.tree.leaves(nnx.state(one)) for one in (model, other))
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["release", "huggingface"])
def test_published_forms_to_ours(sources, tmp_path, form, kind):
    model, files = sources(kind)
    path, about = convert_file(files[form], tmp_path / "out" / "new.safetensors", preset=f"tiny_{kind}")
    other = build(kind, fixture(kind).config)
    stored = training.load_weights(path, other)
    assert equal(model, other)
    assert stored == about | {"sha256": file_sha256(path), "bytes": path.stat().st_size}
    assert about == {
        "origin": {"release": "Perceiver IO release", "huggingface": "Hugging Face transformers"}[form],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))),
        "preset": f"tiny_{kind}",
        "source": files[form].name,
        "source_sha256": file_sha256(files[form]),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["release", "perceiver_lab"])
def test_to_huggingface(sources, tmp_path, form, kind):
    _, files = sources(kind)
    path, about = convert_file(files[form], tmp_path / "out", preset=f"tiny_{kind}", to="huggingface")
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "config.json",
        "model.safetensors",
        "perceiver_lab.json",
    ]
    found, expected = load_file(path), fixture(kind).arrays
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    wanted = fixture(kind).config
    assert {name: config[name] for name in wanted if name not in ("d_model", "image_size")} == {
        name: value for name, value in wanted.items() if name not in ("d_model", "image_size")
    }
    assert config["architectures"] == [kind]
    manifest = json.loads((tmp_path / "out" / "perceiver_lab.json").read_text())
    assert manifest == about | {"sha256": file_sha256(path), "bytes": path.stat().st_size}


@pytest.mark.parametrize("kind", KINDS)
def test_published_models_can_be_opened_by_transformers(kind):
    model = nnx.eval_shape(lambda: presets.get(PRESETS[kind])(rngs=nnx.Rngs(0)))
    assert huggingface_config(model)["num_latents"] == model.config.num_latents


def test_where_outputs_differ_is_said():
    models = {kind: build(kind, fixture(kind).config) for kind in (FOURIER, LEARNED, CONV)}
    assert output_differences(models[FOURIER]) == ()
    assert "55 x 55" in output_differences(models[CONV])[0]
    assert output_differences(models[LEARNED]) == ()
    models[LEARNED].decoder.block.use_query_residual = False
    assert "adds the query" in output_differences(models[LEARNED])[0]


def test_what_transformers_has_built_in_is_refused(tmp_path, sources, monkeypatch):
    from perceiver_lab.adapters import GridInput, Pixels
    from perceiver_lab.layers import FourierPositions

    config = fixture(FOURIER).config | {"num_cross_attention_heads": 1}
    model = build(FOURIER, config)
    model.input_adapter = GridInput(Pixels((16, 16, 3)), FourierPositions((16, 16), num_bands=64))
    model.decoder.block.attention.num_heads = 2
    with pytest.raises(ValueError, match="num_heads of the decoder is 2 instead of 1; max_resolution of the input is"):
        huggingface_config(model)


@pytest.mark.parametrize(
    ("source", "target", "options", "said"),
    [
        ("release", "out", {}, "give a file whose name ends in .safetensors"),
        ("release", "out.safetensors", {"to": "huggingface"}, "give a folder for Hugging Face"),
        ("release", "out.safetensors", {"to": "elsewhere"}, "to='elsewhere' is unknown"),
        ("release", "out.safetensors", {"preset": "tiny"}, "There is no preset 'tiny'"),
        ("huggingface", "theirs.safetensors", {"force": True}, "would be overwritten by what is made of it"),
        ("release", "ours.safetensors", {}, "ours.json would be overwritten. Choose another target, or add --force"),
        ("perceiver_lab", "out.safetensors", {}, "in the form of perceiver_lab already"),
        ("huggingface", "out", {"to": "huggingface"}, "in the form of Hugging Face transformers already"),
        (
            "release",
            "out.safetensors",
            {"preset": "tiny_" + LEARNED},
            "release.pystate: .*5 missing: .*9 of another shape",
        ),
        ("huggingface", "out.safetensors", {"preset": "tiny_" + LEARNED}, "theirs.safetensors: .*5 missing: perceiver"),
        ("perceiver_lab", "out", {"preset": "tiny_" + LEARNED, "to": "huggingface"}, "the weights of another model"),
        ("release", "out", {"preset": "modelnet40", "to": "huggingface"}, "no class for this model"),
    ],
)
def test_refusals_write_nothing(sources, tmp_path, source, target, options, said):
    _, files = sources(FOURIER)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=said):
        convert_file(files[source], tmp_path / target, **({"preset": f"tiny_{FOURIER}"} | options))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_force_replaces(sources, tmp_path):
    _, files = sources(FOURIER)
    convert_file(files["release"], files["perceiver_lab"], preset=f"tiny_{FOURIER}", force=True)
    assert training.read_about(files["perceiver_lab"])["origin"] == "Perceiver IO release"


@pytest.mark.parametrize("form", ["release", "huggingface"])
def test_values_that_are_not_finite(sources, tmp_path, form):
    _, files = sources(FOURIER)
    if form == "release":
        held = pickle.loads(files[form].read_bytes())
        held["params"]["perceiver_encoder/~/trainable_position_encoding/pos_embs"][0, 0] = np.nan
        files[form].write_bytes(pickle.dumps(held))
    else:
        arrays = load_file(files[form])
        arrays["perceiver.embeddings.latents"][0, 0] = np.inf
        save_file(arrays, files[form])
    with pytest.raises(ValueError, match="values that are not finite, as in perceiver"):
        convert_file(files[form], tmp_path / "out.safetensors", preset=f"tiny_{FOURIER}")
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("name", ["weights.bin", "weights.pt", "weights"])
def test_other_endings(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match="weights are read from files that end in .pickle"):
        convert_file(tmp_path / name, tmp_path / "out.safetensors", preset=f"tiny_{FOURIER}")


def test_damaged_safetensors_are_refused_or_read_whole(tmp_path):
    draw = random.Random(0)
    whole = to_huggingface(build(FOURIER, fixture(FOURIER).config | {"d_latents": 4}))
    small = {name: array for name, array in whole.items() if array.size < 200}
    path = tmp_path / "weights.safetensors"
    save_file(small, path)
    content, refused = path.read_bytes(), 0
    header = int.from_bytes(content[:8], "little") + 8
    for number in range(300):
        damaged = bytearray(content)
        at = draw.randrange(header if number % 3 else len(content))
        if number % 4 == 0:
            del damaged[at : at + draw.randint(1, 40)]
        elif number % 4 == 1:
            damaged[at:at] = damaged[at : at + draw.randint(1, 40)]
        else:
            damaged[at] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            found = read_safetensors(path)
        except CheckpointError:
            refused += 1
            continue
        assert len(found) == len(small)
        assert sum(array.size for array in found.values()) <= len(damaged)
    assert refused > 150


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) + 5])
def test_safetensors_with_an_enormous_header(tmp_path, size):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(size.to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match="is no safetensors file, is damaged"):
        read_safetensors(path)


def test_from_a_shell(sources, tmp_path, capsys):
    _, files = sources(CONV)
    arguments = [
        "convert",
        str(files["release"]),
        str(tmp_path / "new"),
        "--preset",
        f"tiny_{CONV}",
        "--to",
        "huggingface",
    ]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert f"tiny_{CONV}: " in said
    assert "parameters (Perceiver IO release) written to" in said
    assert "note: There, convolution and pool are padded otherwise" in said
    assert cli.main(arguments) == 2
    assert "add --force" in capsys.readouterr().err
    assert cli.main([*arguments, "--force"]) == 0
    assert (
        cli.main(["convert", str(tmp_path / "nowhere.pickle"), str(tmp_path / "x.safetensors"), *arguments[3:5]]) == 2
    )
    assert "nowhere.pickle" in capsys.readouterr().err


def test_a_pickle_that_does_more_than_hold_arrays(tmp_path, capsys):
    path = Path(tmp_path / "trick.pystate")
    path.write_bytes(b"cos\nsystem\n(S'echo run'\ntR.")
    assert cli.main(["convert", str(path), str(tmp_path / "x.safetensors"), "--preset", f"tiny_{FOURIER}"]) == 2
    said = capsys.readouterr().err
    assert "names os.system, which is not allowed" in said
    assert "Traceback" not in said
