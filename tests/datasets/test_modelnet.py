"""ModelNet40 from a made-up folder in its own format: what is right is read, what is wrong is named."""

import numpy as np
import pytest

from perceiver_lab.datasets import modelnet40, pipeline, read_off, sample_points

TETRAHEDRON = """0 0 0
1 0 0
0 1 0
0 0 1
3 0 1 2
3 0 1 3
3 0 2 3
3 1 2 3
"""
HEADER = "4 4 6\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.off"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def folder(tmp_path, write):
    """Two classes, two meshes for training and one for the test; one of them as ModelNet40 has some: OFF4 4 6."""
    for name in ("chair", "airplane"):
        write("OFF\n" + HEADER + TETRAHEDRON, f"{name}/train/{name}_0001.off")
        write("OFF" + HEADER + TETRAHEDRON.replace("1 0 0", "2 0 0"), f"{name}/train/{name}_0002.off")
        write("OFF\n" + HEADER + TETRAHEDRON, f"{name}/test/{name}_0003.off")
    write("not a class", "README.txt")
    return tmp_path


@pytest.mark.parametrize("begin", ["OFF\n" + HEADER, "OFF" + HEADER, "OFF 4 4 6\n", "# made by hand\nOFF\n\n" + HEADER])
def test_a_mesh(begin, write):
    vertices, faces = read_off(write(begin + TETRAHEDRON))
    np.testing.assert_array_equal(vertices, [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
    assert faces == [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]


def test_faces_of_more_corners_and_with_colours(write):
    square = "OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3 255 0 0\n"
    assert read_off(write(square))[1] == [(0, 1, 2, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.off is no OFF file: it begins with '', not with 'OFF'"),
        ("ply\nformat", "is no OFF file: it begins with 'ply'"),
        ("OFF\n", "how many vertices and faces it has; it says ''"),
        ("OFF\nfour 4 6\n" + TETRAHEDRON, "it says 'four 4 6'"),
        ("OFF\n4\n" + TETRAHEDRON, "it says '4'"),
        ("OFF\n4 0 0\n" + TETRAHEDRON, "announces 4 vertices and 0 faces, at least one of each"),
        ("OFF\n4 5 6\n" + TETRAHEDRON, "4 vertices and 5 faces.*has 8 lines for them. It was cut short"),
        ("OFF\n999999999999 4 6\n" + TETRAHEDRON, "announces 999999999999 vertices"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("1 0 0", "1 0"), "has vertices that are not three numbers"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("1 0 0", "1 x 0"), "has vertices that are not three numbers"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("1 0 0", "nan 0 0"), "vertices that are not three finite numbers"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("3 0 2 3", "3 0 2 4"), r"has the face '3 0 2 4'.*from 0 to 3"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("3 0 2 3", "3 0 2 -1"), "has the face '3 0 2 -1'"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("3 0 2 3", "3 0 2"), "has the face '3 0 2'"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("3 0 2 3", "2 0 2"), "at least 3"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("3 0 2 3", "-3 0 2 3"), "has the face '-3 0 2 3'"),
        ("OFF\n" + HEADER + TETRAHEDRON.replace("3 0 2 3", "3 0 a 3"), "no list of whole numbers: '3 0 a 3'"),
    ],
)
def test_bad_meshes(text, message, write):
    with pytest.raises(ValueError, match=message):
        read_off(write(text))


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.off").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(ValueError, match="is no OFF file"):
        read_off(tmp_path / "a.off")


def test_a_folder(folder):
    train, test = (modelnet40(folder, split) for split in ("train", "test"))
    assert train.classes == ("airplane", "chair") and (len(train), len(test)) == (4, 2)
    assert [(one["name"], one["label"]) for one in train] == [
        ("airplane_0001", 0),
        ("airplane_0002", 0),
        ("chair_0001", 1),
        ("chair_0002", 1),
    ]
    points = train[3]["points"]
    assert points.shape == (2048, 3) and points.dtype == np.float32 and np.abs(points).max() == 1
    np.testing.assert_array_equal(points, train[3]["points"])
    np.testing.assert_array_equal(points, train[-1]["points"])
    batch = next(pipeline(train, batch_size=4, transforms=(sample_points(64),)))
    assert batch["points"].shape == (4, 64, 3) and sorted(batch["label"]) == [0, 0, 1, 1]


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match="split='validation' is unknown; ModelNet40 has 'train', 'test'"):
        modelnet40(folder, "validation")
    with pytest.raises(
        FileNotFoundError, match=r"There are no folders of classes in .*nowhere. Get ModelNet40.zip from"
    ):
        modelnet40(tmp_path / "nowhere", "train")
    (folder / "chair" / "test" / "chair_0003.off").unlink()
    with pytest.raises(FileNotFoundError, match="There are no OFF files in .*chair.test"):
        modelnet40(folder, "test")
