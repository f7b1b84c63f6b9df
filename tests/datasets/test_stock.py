"""Standard TFDS sets open by name through the same lines; what is in the way of preparing one is said at once."""

import io
import socket
import sys
import time
import types

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from perceiver_lab.datasets import arrays, data_hash, load, pipeline, random_crop, stock, to_float

SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3), "imagenet2012": (None, None, 3)}


def picture(shape, index):
    """PNG or JPEG bytes of a made-up image, as the stock sets store them."""
    shape = (40 + index, 50, 3) if shape[0] is None else shape
    pixels = np.random.default_rng(index).integers(0, 256, shape).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, format="JPEG" if shape[0] >= 40 else "PNG")
    return file.getvalue()


def prepare_stand_in(name, folder):
    """Prepare three made-up records in the place and the format of a stock set, with the stock set's own features."""
    real = tfds.builder(name, data_dir=folder, file_format="array_record", try_gcs=False)

    class StandIn(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = real.version

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=real.info.features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for index in range(3):
                record = {"image": picture(SHAPES[name], index), "label": index}
                extra = {"cifar10": {"id": f"train_{index}"}, "imagenet2012": {"file_name": f"{index}.JPEG"}}
                yield index, record | extra.get(name, {})

    StandIn.name = name
    stand_in = StandIn(data_dir=folder, file_format="array_record")
    stand_in.download_and_prepare()
    assert stand_in.data_path == real.data_path


@pytest.mark.parametrize("name", SHAPES)
def test_a_prepared_stock_set_opens_by_name(name, tmp_path, monkeypatch):
    prepare_stand_in(name, tmp_path)
    monkeypatch.setattr(stock, "online", lambda: pytest.fail("a prepared set needs no network"))
    source = load(name, "train", data_dir=tmp_path)
    assert len(source) == 3 and [record["label"] for record in source] == [0, 1, 2]
    for extent, expected in zip(source[0]["image"].shape, SHAPES[name], strict=True):
        assert expected in (None, extent)
    assert source[0]["image"].dtype == np.uint8
    version = source.dataset_info.version
    assert len(load(f"{name}:{version}", "train", data_dir=tmp_path)) == 3
    with pytest.raises(ValueError, match=f"no data set '{name}s:{version}'.*Did you mean .*'{name}'"):
        load(f"{name}s:{version}", "train", data_dir=tmp_path)

    batches = pipeline(source, batch_size=3, transforms=(random_crop(24), to_float), shuffle=False)
    batch = next(batches)
    assert batch["image"].shape == (3, 24, 24, SHAPES[name][2]) and batch["label"].tolist() == [0, 1, 2]


def test_a_version_pins_a_stock_set_and_nothing_else_does():
    pinned = data_hash("imagenet2012:5.1.0")
    assert len(pinned) == 64 and pinned != data_hash("imagenet2012:5.0.0")
    with pytest.raises(ValueError, match="'imagenet2012' has no pinned content.*by its version, as in"):
        data_hash("imagenet2012")


def test_text_stays_whole_in_arrays(tmp_path):
    prepare_stand_in("cifar10", tmp_path)
    assert arrays("cifar10", "train", data_dir=tmp_path)["id"].tolist() == [b"train_0", b"train_1", b"train_2"]


@pytest.mark.parametrize(
    ("name", "stand_in"),
    [("mnist", "mnist_small"), ("cifar10", "large_digits"), ("imagenet2012:5.1.0", "large_digits")],
)
def test_offline_is_said_within_two_seconds(name, stand_in, tmp_path, monkeypatch):
    """Even when looking up the host's address hangs, which no time limit of a socket covers."""
    tfds.list_builders(with_community_datasets=False)  # what TFDS does once per process is not waiting for a network

    def hang(*_, **__):
        time.sleep(5)  # longer than anyone waits; then as a socket ends, for the thread outlives the test
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", hang)
    begin = time.perf_counter()
    with pytest.raises(ConnectionError, match=f"'{name}' is not prepared in {tmp_path}.*no network.*use '{stand_in}'"):
        load(name, "train", data_dir=tmp_path)
    assert time.perf_counter() - begin < 2.3


def test_online_asks_one_connection(monkeypatch):
    asked = []

    class Connection:
        def close(self):
            asked.append("closed")

    def connect(address, timeout):
        asked.append(address)
        return Connection()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert stock.online()
    assert asked == [stock.PROBE_HOST, "closed"]

    def refuse(*_, **__):
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert not stock.online()


def test_missing_tensorflow_names_the_extra_and_the_offline_set(tmp_path, monkeypatch):
    monkeypatch.setattr(stock, "online", lambda: True)
    monkeypatch.setattr(stock.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=r"'mnist' needs TensorFlow once.*perceiver-lab\[tfds\].*'mnist_small'"
    ):
        load("mnist", "train", data_dir=tmp_path)


def test_files_to_be_fetched_by_hand_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(stock, "online", lambda: True)
    monkeypatch.setattr(stock.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(
        FileNotFoundError, match=f"'imagenet2012' may not be .*put them into {tmp_path}/downloads/manual"
    ):
        load("imagenet2012", "train", data_dir=tmp_path)


def test_tensorflow_prepares_without_the_gpu_and_under_the_lock(tmp_path, monkeypatch):
    done = []

    class Builder:
        name = "mnist"
        data_path = str(tmp_path / "mnist" / "3.0.1")
        MANUAL_DOWNLOAD_INSTRUCTIONS = None

        def download_and_prepare(self):
            assert (tmp_path / ".mnist.lock").exists()
            done.append("prepared")

    config = types.SimpleNamespace(set_visible_devices=lambda devices, kind: done.append((devices, kind)))
    monkeypatch.setitem(sys.modules, "tensorflow", types.SimpleNamespace(config=config, __spec__=object()))
    monkeypatch.setattr(stock, "online", lambda: True)
    stock.prepare_stock(Builder(), "mnist", tmp_path)
    assert done == [([], "GPU"), "prepared"]


def test_unprepared_stock_set_in_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    """The lock comes before any download."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written to"), stock.locked(tmp_path / "file" / "data", "mnist"):
        pass


def test_leftovers_of_dead_downloads_are_removed(tmp_path):
    (tmp_path / "incomplete.ABC_3.0.1").mkdir()
    (tmp_path / "3.0.1").mkdir()
    stock._remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["3.0.1"]
