"""The shipped files are what their README says, are checked before use, and are read right."""

import hashlib
import re
import shutil

import numpy as np
import pytest

from perceiver_lab.datasets import data_root, paths, shipped


def test_every_shipped_file_has_its_sum_in_code_and_readme():
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in data_root().iterdir()
        if path.is_file() and path.name != "README.md"
    }
    assert found == shipped.SHIPPED_SHA256
    readme = (data_root() / "README.md").read_text()
    rows = re.findall(r"^\| `(\S+)` \| ([\d,]+) \| `([0-9a-f]{64})` \|$", readme, re.M)
    assert {name: digest for name, _, digest in rows} == found
    for name, size, _ in rows:
        assert int(size.replace(",", "")) == (data_root() / name).stat().st_size


def test_readme_attributes_every_photo():
    readme = (data_root() / "README.md").read_text()
    assert all(f"| {photo.name} |" in readme for photo in shipped.PHOTO_FILES)


@pytest.mark.parametrize(("part", "count"), [("train", 6000), ("test", 1000)])
def test_mnist_digits(part, count):
    images, labels = shipped.mnist_digits(part)
    assert images.shape == (count, 28, 28) and images.dtype == np.uint8
    assert labels.shape == (count,) and labels.dtype == np.int64
    assert len({image.tobytes() for image in images}) == count
    first = {"train": [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], "test": [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]}[part]
    assert labels[:10].tolist() == first


def test_a_tile_lies_where_the_sheet_is_read_like_a_page():
    sheet = shipped.decode_image(shipped.read_shipped("mnist_train.png"), "L")
    columns = sheet.shape[1] // 28
    images, _ = shipped.mnist_digits("train")
    row, column = divmod(columns + 3, columns)
    np.testing.assert_array_equal(images[columns + 3], sheet[28 * row : 28 * row + 28, 28 * column : 28 * column + 28])


def test_small_digits_keep_their_levels():
    images, labels = shipped.small_digits()
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8 and images.max() == 16
    assert labels.shape == (1797,) and set(labels) == set(range(10))


def test_photos():
    pictures = shipped.photos()
    assert len(pictures) == len(shipped.PHOTO_FILES) == 9
    assert all(picture.dtype == np.uint8 and picture.shape[2] == 3 for picture in pictures)


@pytest.fixture
def data_copy(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    shutil.copytree(data_root(), folder, ignore=shutil.ignore_patterns("weights"))
    monkeypatch.setattr(shipped, "data_root", lambda: folder)
    return folder


def test_corrupt_shipped_file_is_named(data_copy):
    path = data_copy / "mnist_test.png"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"mnist_test\.png is not the file .* `git checkout"):
        shipped.mnist_digits("test")


def test_missing_shipped_file_is_named(data_copy):
    (data_copy / "mnist_train.labels").unlink()
    with pytest.raises(FileNotFoundError, match=r"mnist_train\.labels is missing"):
        shipped.mnist_digits("train")


def test_unknown_names():
    with pytest.raises(ValueError, match="'nothing.txt' is not shipped data; the files are fsdd"):
        shipped.read_shipped("nothing.txt")
    with pytest.raises(ValueError, match="part must be 'train' or 'test', got 'valid'"):
        shipped.mnist_digits("valid")


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(shipped.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="scikit-learn is not installed"):
        shipped.small_digits()


def test_data_root_finds_a_clone_or_a_wheel_and_says_when_neither_is_there(tmp_path, monkeypatch):
    module = tmp_path / "site-packages" / "perceiver_lab" / "datasets" / "paths.py"
    module.parent.mkdir(parents=True)
    monkeypatch.setattr(paths, "__file__", str(module))
    (tmp_path / "site-packages" / "data").mkdir()  # a stranger's folder beside the package
    with pytest.raises(FileNotFoundError, match="data that ships with perceiver_lab is missing"):
        paths.data_root()
    for folder in (module.parents[1] / "_data", tmp_path / "site-packages" / "data"):
        folder.mkdir(exist_ok=True)
        (folder / "mnist_train.png").touch()
        assert paths.data_root() == folder


def test_cache_root(tmp_path, monkeypatch):
    monkeypatch.setenv("PERCEIVER_LAB_DATA_DIR", str(tmp_path / "mine"))
    assert paths.cache_root() == tmp_path / "mine"
    monkeypatch.delenv("PERCEIVER_LAB_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert paths.cache_root() == tmp_path / "perceiver_lab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.cache_root() == tmp_path / ".cache" / "perceiver_lab"
    assert not (tmp_path / ".cache").exists()
