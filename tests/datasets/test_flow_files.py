"""Flow in the formats of others, on made-up folders of two records: what is right is read, what is wrong is named."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from perceiver_lab.datasets import motorcycle, pipeline
from perceiver_lab.datasets.flow_files import FlowPairs, flying_chairs, read_flo, sintel, write_flo

RNG = np.random.default_rng(0)
FLOW = RNG.normal(size=(5, 7, 2)).astype(np.float32)


def picture(path, shape=(5, 7, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def sintel_folder(tmp_path):
    root = tmp_path / "training"
    for scene, count in (("alley_1", 3), ("bamboo_2", 1)):
        for rendering in ("clean", "final"):
            for number in range(1, count + 1):
                picture(root / rendering / scene / f"frame_{number:04d}.png")
        for number in range(1, count):
            (root / "flow" / scene).mkdir(parents=True, exist_ok=True)
            write_flo(root / "flow" / scene / f"frame_{number:04d}.flo", FLOW * number)
    return tmp_path


@pytest.fixture
def chairs_folder(tmp_path):
    for number in (1, 2):
        for frame in (1, 2):
            picture(tmp_path / "data" / f"{number:05d}_img{frame}.ppm")
        write_flo(tmp_path / "data" / f"{number:05d}_flow.flo", FLOW * number)
    (tmp_path / "FlyingChairs_train_val.txt").write_text("1\n2\n")
    return tmp_path


def test_the_bytes_of_a_file(tmp_path):
    """Written out by hand: "PIEH", width 2, height 1, then u and v of each pixel."""
    path = tmp_path / "a.flo"
    write_flo(path, np.array([[[1.0, 2.0], [-3.0, 0.5]]], np.float32))
    assert path.read_bytes() == b"PIEH" + struct.pack("<ii4f", 2, 1, 1.0, 2.0, -3.0, 0.5)


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31))
def test_round_trip(tmp_path_factory, height, width, seed):
    path = tmp_path_factory.mktemp("flo") / "a.flo"
    flow = np.random.default_rng(seed).normal(size=(height, width, 2)).astype(np.float32)
    flow[0, 0] = np.nan
    write_flo(path, flow)
    np.testing.assert_array_equal(read_flo(path), flow)


def test_unknown_flow_is_nan(tmp_path):
    (tmp_path / "a.flo").write_bytes(b"PIEH" + struct.pack("<ii4f", 2, 1, 1.7e9, 0.0, 4.0, 5.0))
    found = read_flo(tmp_path / "a.flo")
    assert np.isnan(found[0, 0]).all()
    assert found[0, 1].tolist() == [4.0, 5.0]


HEADER = b"PIEH" + struct.pack("<ii", 2, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PIEH", "a.flo has 4 bytes, less than the header"),
        (b"HEIP" + HEADER[4:] + bytes(16), "a.flo is no .flo file: it begins with b'HEIP'"),
        (HEADER + bytes(12), r"a.flo has 24 bytes; 2 x 1 pixels take 28. It was cut short"),
        (HEADER + bytes(20), r"has something appended"),
        (b"PIEH" + struct.pack("<ii", -2, 1) + bytes(16), "2 pixels wide and 1 high, which cannot be"),
        (b"PIEH" + struct.pack("<ii", 2**30, 2**30) + bytes(16), "which cannot be"),
    ],
)
def test_bad_flow_files(content, message, tmp_path):
    (tmp_path / "a.flo").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_flo(tmp_path / "a.flo")


def test_only_flow_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"\(H, W, 2\); got shape \(5, 7, 3\)"):
        write_flo(tmp_path / "a.flo", np.zeros((5, 7, 3), np.float32))


@pytest.mark.parametrize("rendering", ["clean", "final"])
def test_sintel(sintel_folder, rendering):
    pairs = sintel(sintel_folder, rendering=rendering)
    assert [pairs[index]["name"] for index in range(len(pairs))] == ["alley_1/frame_0001", "alley_1/frame_0002"]
    np.testing.assert_array_equal(pairs[1]["flow"], FLOW * 2)
    folder = sintel_folder / "training" / rendering / "alley_1"
    expected = np.stack([np.asarray(Image.open(folder / f"frame_000{number}.png")) for number in (2, 3)])
    np.testing.assert_array_equal(pairs[1]["frames"], expected)


def test_flying_chairs(chairs_folder):
    train, validation = (flying_chairs(chairs_folder, split) for split in ("train", "validation"))
    assert [train[0]["name"], validation[0]["name"]] == ["00001", "00002"]
    assert (len(train), len(validation)) == (1, 1)
    np.testing.assert_array_equal(validation[0]["flow"], FLOW * 2)
    assert train[0]["frames"].shape == (2, 5, 7, 3)


def test_a_source_for_the_pipeline(sintel_folder):
    batch = next(pipeline(sintel(sintel_folder), batch_size=2, shuffle=False))
    assert batch["frames"].shape == (2, 2, 5, 7, 3)
    np.testing.assert_array_equal(batch["flow"][0], FLOW)


def test_what_is_missing_is_named(sintel_folder, chairs_folder, tmp_path):
    with pytest.raises(ValueError, match="rendering='albedo' is unknown"):
        sintel(sintel_folder, rendering="albedo")
    with pytest.raises(ValueError, match="split='test' is unknown"):
        flying_chairs(chairs_folder, "test")
    (sintel_folder / "training" / "flow" / "alley_1" / "frame_0002.flo").unlink()
    with pytest.raises(FileNotFoundError, match=r"alley_1/frame_0002.flo and 0 other files are missing.*sintel"):
        sintel(sintel_folder)
    with pytest.raises(FileNotFoundError, match=r"nowhere/training/clean is missing or empty. Get the set from http"):
        sintel(tmp_path / "nowhere")
    (chairs_folder / "data" / "00001_img2.ppm").unlink()
    with pytest.raises(FileNotFoundError, match="00001_img2.ppm and 0 other files are missing"):
        flying_chairs(chairs_folder)
    (chairs_folder / "FlyingChairs_train_val.txt").write_text("1\n")
    with pytest.raises(ValueError, match="a 1 or a 2 for each of the 2 pairs"):
        flying_chairs(chairs_folder)
    (chairs_folder / "FlyingChairs_train_val.txt").write_text("2\n2\n")
    with pytest.raises(FileNotFoundError, match="Every pair of .* is missing"):
        flying_chairs(chairs_folder, "train")
    (chairs_folder / "FlyingChairs_train_val.txt").unlink()
    with pytest.raises(FileNotFoundError, match="train_val.txt is missing or empty"):
        flying_chairs(chairs_folder)


def test_what_does_not_belong_together(chairs_folder):
    path = chairs_folder / "data" / "00001_img2.ppm"
    picture(path, (5, 8, 3))
    with pytest.raises(
        ValueError, match=r"00001_img2.ppm and its flow do not belong together: they have \(5, 8\) and \(5, 7\) pixels"
    ):
        flying_chairs(chairs_folder)[0]
    picture(path, (5, 7, 3))
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(ValueError, match=r"00001_img2.ppm cannot be read as an image"):
        flying_chairs(chairs_folder)[0]
    with pytest.raises(IndexError):
        FlowPairs(())[0]


def test_the_motorcycle():
    """What the left view shows at p, the right view shows at p + flow[p]."""
    pair = motorcycle()
    first, second = pair["frames"].astype(float)
    assert pair["frames"].shape == (2, 500, 741, 3)
    known = np.isfinite(pair["flow"]).all(axis=-1)
    assert 0.9 < known.mean() < 0.95
    assert (pair["flow"][known][:, 1] == 0).all()
    rows, columns = np.nonzero(known)
    targets = np.rint(columns + pair["flow"][rows, columns, 0]).astype(int)
    inside = targets >= 0
    rows, columns, targets = rows[inside], columns[inside], targets[inside]
    moved = np.abs(second[rows, targets] - first[rows, columns]).mean()
    assert moved < 0.4 * np.abs(second[rows, columns] - first[rows, columns]).mean()
