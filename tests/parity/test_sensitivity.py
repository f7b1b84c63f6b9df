"""Parity must be able to fail: wrong choices that look right, and files that cannot be built."""

import json
import shutil

import jax
import numpy as np
import pytest

from perceiver_lab import adapters, models, ops
from perceiver_lab.adapters import queries
from perceiver_lab.layers import attention, conv, mlp, positions
from perceiver_lab.models import perceiver_io as perceiver_io_model
from tests.parity import perceiver_io
from tests.parity.families import check, failures
from tests.parity.vectors import FOLDER_VARIABLE, OWN, Unsupported, files

FOLDER = OWN / "perceiver_io"


def test_exact_gelu_is_noticed(monkeypatch):
    exact = jax.nn.gelu
    monkeypatch.setattr(mlp.jax.nn, "gelu", lambda x, approximate: exact(x, approximate=False))
    assert failures(check(FOLDER / "mlp_w1.npz"))


def test_exact_gelu_is_noticed_in_a_whole_model(monkeypatch):
    exact = jax.nn.gelu
    monkeypatch.setattr(mlp.jax.nn, "gelu", lambda x, approximate: exact(x, approximate=False))
    assert failures(check(FOLDER / "model_optical_flow.npz"))


def test_another_order_of_modalities_is_noticed(monkeypatch):
    def backwards(self, x, train):
        rows = in_order(self, x, train)
        return {name: rows[name] for name in reversed(rows)}

    def moved(decoded, sizes):
        return split(decoded, {name: sizes[name] for name in reversed(sizes)})

    in_order, split = adapters.MultimodalInput._pad_each, perceiver_io_model._split
    path = FOLDER / "model_multimodal.npz"
    # A set of inputs has no order: alone, that of the inputs changes nothing but rounding; that of the queries does.
    monkeypatch.setattr(adapters.MultimodalInput, "_pad_each", backwards)
    assert not failures(check(path))
    monkeypatch.setattr(perceiver_io_model, "_split", moved)
    assert failures(check(path))


def test_padding_before_the_channels_is_noticed(monkeypatch):
    def before(self, name, queries):
        width = self.paddings[name].table.shape[-1]
        return jax.numpy.roll(after(self, name, queries), width, axis=-1)

    after = adapters.MultimodalQueries._pad
    monkeypatch.setattr(adapters.MultimodalQueries, "_pad", before)
    assert failures(check(FOLDER / "model_multimodal.npz"))


@pytest.mark.parametrize("file", ["flow_decoder", "model_optical_flow"])
def test_a_missing_division_is_noticed(monkeypatch, file):
    monkeypatch.setattr(adapters.FlowOutput, "each", lambda self, decoded, embedding=None: decoded * self.multiply_by)
    assert failures(check(FOLDER / f"{file}.npz"))


def test_the_grid_s_coordinates_in_chunks_are_noticed(monkeypatch):
    monkeypatch.setattr(queries, "release_coordinates", ops.cell_coordinates)
    found = failures(check(FOLDER / "model_multimodal.npz"))
    assert any("all_points_subsampled" in one for one in found)
    assert any("chunk1of4" in one for one in found)
    assert not any("full" in one for one in found)


def test_an_ignored_query_mask_is_noticed(monkeypatch):
    with_mask = models.Decoder._mask
    monkeypatch.setattr(models.Decoder, "_mask", lambda self, *arrays: with_mask(self, *arrays[:2], None, arrays[3]))
    assert failures(check(FOLDER / "model_mlm.npz"))
    assert failures(check(FOLDER / "basic_decoder_no_project_mask.npz"))


def test_an_output_table_of_its_own_is_noticed(monkeypatch):
    monkeypatch.setattr(adapters.ByteInput, "embedding_table", property(lambda self: self.embedding[...][::-1]))
    assert failures(check(FOLDER / "model_mlm.npz"))


def test_flipped_taps_of_transposed_convolutions_are_noticed(monkeypatch):
    plain = jax.lax.conv_transpose

    def flipped(x, kernel, *arguments, **options):
        return plain(x, kernel[::-1, ::-1], *arguments, **options)

    monkeypatch.setattr(conv.jax.lax, "conv_transpose", flipped)
    assert failures(check(FOLDER / "postproc_image_conv.npz"))


def test_another_epsilon_is_noticed(monkeypatch):
    def with_flax_default(channels, rngs):
        return attention.nnx.LayerNorm(channels, epsilon=1e-6, rngs=rngs)

    monkeypatch.setattr(perceiver_io, "layer_norm", with_flax_default)
    assert failures(check(FOLDER / "layer_norm_small_variance.npz"))


def test_another_order_of_fourier_features_is_noticed(monkeypatch):
    def interleaved(coordinates, *, num_bands, include_positions=True, **options):
        features = ops.fourier_features(
            coordinates, num_bands=num_bands, include_positions=include_positions, **options
        )
        start = coordinates.shape[-1] if include_positions else 0
        swapped = np.roll(np.arange(start, features.shape[-1]), num_bands * coordinates.shape[-1])
        return features[..., np.concatenate([np.arange(start), swapped])]

    monkeypatch.setattr(positions, "fourier_features", interleaved)
    assert failures(check(FOLDER / "fourier_features.npz"))


def test_every_own_file_is_collected():
    found = {path.name for path in files()}
    assert {path.name for path in OWN.glob("*/*.npz")} <= found
    assert len(found) >= 54


def test_files_of_a_named_folder_are_collected(tmp_path, monkeypatch):
    (tmp_path / "perceiver_io").mkdir()
    shutil.copy(FOLDER / "mlp_w1.npz", tmp_path / "perceiver_io" / "another.npz")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert tmp_path / "perceiver_io" / "another.npz" in list(files())
    assert not failures(check(tmp_path / "perceiver_io" / "another.npz"))


def rewritten(tmp_path, *, family="perceiver_io", outputs=None, **config):
    """A copy of a file with another config."""
    with np.load(FOLDER / "mlp_w1.npz") as file:
        arrays = {key: file[key] for key in file.files}
    arrays["config"] = np.array(json.dumps(json.loads(str(arrays["config"])) | config))
    arrays |= outputs or {}
    path = tmp_path / family / "changed.npz"
    path.parent.mkdir()
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "unheard_of"}, "no family 'unheard_of'"),
        ({"module": "unheard_of"}, "nothing here builds the module 'unheard_of'"),
        ({"unheard_of": 3}, r"nothing here knows the options \['unheard_of'\]"),
        ({"activation": "relu"}, "activation='relu' cannot be built"),
        ({"outputs": {"output/more": np.zeros(3)}}, r"nothing here computes \['output/more'\]"),
    ],
    ids=["family", "module", "option", "value", "output"],
)
def test_what_cannot_be_built_fails_by_name(tmp_path, changes, message):
    with pytest.raises(Unsupported, match=message):
        check(rewritten(tmp_path, **changes))


def test_nan_is_a_failure(tmp_path):
    with np.load(FOLDER / "mlp_w1.npz") as file:
        broken = np.full_like(file["param/mlp/linear/w"], np.nan)
    assert failures(check(rewritten(tmp_path, outputs={"param/mlp/linear/w": broken})))


# Published encodings: inputs of the image, audio and flow models, and the queries of the video model, cell by cell.
CASES = (
    {"name": "image", "grid": [224, 224], "max_resolution": None, "bands": 64},
    {"name": "audio", "grid": [1920], "max_resolution": [30720], "bands": 192},
    {"name": "flow", "grid": [368, 496], "max_resolution": [368, 496], "bands": 64},
    {"name": "video", "path": "subsampled", "grid": [16, 224, 224], "max_resolution": [16, 56, 56], "bands": 32},
)


def exact_features(case, rows):
    """The formula in float64."""
    grid = case["grid"]
    indices = np.stack(np.unravel_index(rows, grid), axis=-1)
    last = np.array(grid) - (case.get("path") != "subsampled")
    where = -1 + 2 * indices / last
    bands = np.stack([np.linspace(1, size / 2, case["bands"]) for size in case["max_resolution"] or grid])
    phases = (np.pi * where[..., None] * bands).reshape(len(rows), -1)
    return np.concatenate([where, np.sin(phases), np.cos(phases)], axis=-1)[None]


def test_selected_rows_at_published_resolutions(tmp_path):
    arrays = {"config": np.array(json.dumps({"module": "fourier_position_encoding", "cases": CASES}))}
    for case in CASES:
        rows = np.random.default_rng(0).integers(np.prod(case["grid"]), size=40)
        arrays |= {f"input/rows_{case['name']}": rows, f"output/{case['name']}": exact_features(case, rows)}
    (tmp_path / "perceiver_io").mkdir()
    np.savez(tmp_path / "perceiver_io" / "published.npz", **arrays)
    comparisons = check(tmp_path / "perceiver_io" / "published.npz")
    assert [one.tolerance for one in comparisons] == [5e-4, 2e-2, 5e-4, 5e-4]
    assert not failures(comparisons)
