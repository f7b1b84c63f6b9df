"""The real data that is already on the machine, each file checked against its sha256 before it is used.

Digits of MNIST and other small files ship in `data/` (origins and licences: data/README.md). The 8 x 8 digits, the
photos and the chorales lie inside the wheels of scikit-learn, scikit-image and music21, which are read as files:
importing one costs a second, and only bytes are needed.
"""

import gzip
import hashlib
import importlib.util
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from perceiver_lab.datasets.paths import data_root

SHIPPED_SHA256 = {
    "fsdd_subset_ulaw.npz": "cd9100d2500f74db5ddb69d9558d50ba252413dc6e05d91bad09c44cb4b6838b",
    "mnist_test.labels": "d14ba0a1a3818edefa35518ed001ece84b7ac0eabe9394551c73928493175d3f",
    "mnist_test.png": "0fd777be745615df1c8604c7c47aa14cd1446c3b52aaad4ef633e9f403998def",
    "mnist_train.labels": "493b332089ef4945e6c8f18de058d5718e419723e1853b958ae08285ba2df4a1",
    "mnist_train.png": "210b0b5110f0f5663a2642d950b9e5571827a0d83a907817ac898fda8bf9c542",
    "spoken_codebooks.npz": "6512824b69042102e2dd4f3f115255aec79af6155b3db23f3c6e880108e22f3f",
    "tinyshakespeare.txt.xz": "d2476529549e2da7ec5dd2530f028856808ec42fec335c232268c9c6af463bc6",
}
# The digits by the sha256 of the text inside the archive: a repacked archive is still the same data.
SMALL_DIGITS_SHA256 = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """One photo inside an installed wheel."""

    name: str
    package: str
    path: str
    sha256: str
    attribution: str


def _skimage(name, file, sha256, attribution):
    return PhotoFile(name=name, package="skimage", path=f"data/{file}", sha256=sha256, attribution=attribution)


_FLICKR = "CC BY 2.0, from scikit-learn's sample images"
PHOTO_FILES = (
    PhotoFile(
        name="china",
        package="sklearn",
        path="datasets/images/china.jpg",
        sha256="8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        attribution=f"Summer Palace, Beijing, by danielbuechele (flickr 6061409035), {_FLICKR}",
    ),
    PhotoFile(
        name="flower",
        package="sklearn",
        path="datasets/images/flower.jpg",
        sha256="a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        attribution=f"Dahlia, by vultilion (flickr 6056698931), {_FLICKR}",
    ),
    _skimage(
        "astronaut",
        "astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "Eileen Collins, NASA, public domain, from scikit-image's data",
    ),
    _skimage(
        "chelsea",
        "chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "Chelsea the cat, by Stefan van der Walt, CC0, from scikit-image's data",
    ),
    _skimage(
        "coffee",
        "coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "Coffee cup, by Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0, from scikit-image's data",
    ),
    _skimage(
        "rocket",
        "rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        "Launch of DSCOVR, SpaceX, public domain, from scikit-image's data",
    ),
    _skimage(
        "brick",
        "brick.png",
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        "Brick wall, CC0Textures Bricks25, CC0, from scikit-image's data",
    ),
    _skimage(
        "grass",
        "grass.png",
        "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
        "Grass, by linolafett (DeviantArt 434853879), CC0, from scikit-image's data",
    ),
    _skimage(
        "gravel",
        "gravel.png",
        "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
        "Gravel, CC0Textures Gravel04, CC0, from scikit-image's data",
    ),
)


def read_shipped(name: str) -> bytes:
    """The bytes of one file of the shipped data folder, checked against its sha256.

    Args:
      name: a file name listed in `SHIPPED_SHA256`.

    Raises:
      ValueError: an unknown name, or a file whose content is not the one that shipped.
      FileNotFoundError: the file is missing.
    """
    if name not in SHIPPED_SHA256:
        raise ValueError(f"{name!r} is not shipped data; the files are {', '.join(SHIPPED_SHA256)}.")
    return _read_checked(data_root() / name, SHIPPED_SHA256[name], "Restore it with `git checkout -- data`")


def mnist_digits(part: str) -> tuple[UInt8[np.ndarray, "n 28 28"], Int[np.ndarray, " n"]]:
    """The first 6,000 training digits of MNIST ("train"), or the first 1,000 test digits ("test").

    Returns:
      Ink (n, 28, 28) uint8, 0 = paper and 255 = ink, and the labels (n,) int64.

    Raises:
      ValueError: another part, or a file that is not the one that shipped.
    """
    if part not in ("train", "test"):
        raise ValueError(f"part must be 'train' or 'test', got {part!r}.")
    labels = np.frombuffer(read_shipped(f"mnist_{part}.labels"), np.uint8).astype(np.int64)
    sheet = decode_image(read_shipped(f"mnist_{part}.png"), "L")
    # A contact sheet: tiles of 28 x 28 in rows, read like a page.
    rows, columns = sheet.shape[0] // 28, sheet.shape[1] // 28
    tiles = sheet.reshape(rows, 28, columns, 28).swapaxes(1, 2).reshape(-1, 28, 28)
    return np.ascontiguousarray(tiles), labels


def small_digits() -> tuple[UInt8[np.ndarray, "n 8 8"], Int[np.ndarray, " n"]]:
    """scikit-learn's 1,797 digits of 8 x 8 pixels (the test part of UCI's optdigits, CC BY 4.0).

    Returns:
      Ink (1797, 8, 8) uint8 at its original levels, 0 = paper to 16 = ink, and the labels (1797,) int64.

    Raises:
      FileNotFoundError: scikit-learn is not installed.
      ValueError: the file inside scikit-learn holds other data.
    """
    path = _package_file("sklearn", "datasets/data/digits.csv.gz")
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} is not a readable gzip file ({error}). Reinstall scikit-learn.") from error
    _check(text, path, SMALL_DIGITS_SHA256, "Reinstall scikit-learn")
    table = np.loadtxt(io.BytesIO(text), delimiter=",").astype(np.int64)
    return table[:, :64].astype(np.uint8).reshape(-1, 8, 8), table[:, 64]


def photos() -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """The nine photos and textures of `PHOTO_FILES`, as RGB arrays (height, width, 3) uint8, in that order.

    Raises:
      FileNotFoundError: scikit-learn or scikit-image is not installed, or lacks a photo.
      ValueError: a photo's file holds other data.
    """
    pictures = []
    for photo in PHOTO_FILES:
        pictures.append(decode_image(read_packaged(photo.package, photo.path, photo.sha256), "RGB"))
    return pictures


def read_packaged(package: str, path: str, sha256: str) -> bytes:
    """The bytes of a file inside the installed scikit-learn ("sklearn") or scikit-image ("skimage").

    Raises:
      FileNotFoundError: the package is not installed, or lacks the file.
      ValueError: the file holds other data.
    """
    return _read_checked(_package_file(package, path), sha256, f"Reinstall {_PROJECTS[package]}")


def read_packaged_folder(package: str, folder: str, pattern: str, sha256: str) -> dict[str, bytes]:
    """The files of a folder inside an installed package such as music21, by name, in the order of their names.

    Args:
      package: as it is imported; it is not imported here.
      folder, pattern: which files.
      sha256: of names and contents, see `folder_sha256`.

    Raises:
      FileNotFoundError: the package is not installed.
      ValueError: other files.
    """
    paths = sorted(_package_file(package, folder).glob(pattern), key=lambda path: path.name)
    files = {path.name: path.read_bytes() for path in paths}
    found = folder_sha256(files)
    if found != sha256:
        raise ValueError(
            f"The {len(files)} files {pattern} inside {_PROJECTS[package]} are not those that the lab was made with: "
            f"their sha256 is {found[:16]}..., expected {sha256[:16]}... Install the version in requirements.lock."
        )
    return files


def folder_sha256(files: Mapping[str, bytes]) -> str:
    """One sha256 of many files: over the sums of their contents, each with its name, in the order given."""
    sums = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    return hashlib.sha256("".join(sums).encode()).hexdigest()


def decode_image(content: bytes, mode: str) -> np.ndarray:
    """The pixels of an image file in one of Pillow's modes, uint8."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert(mode))


_PROJECTS = {"sklearn": "scikit-learn", "skimage": "scikit-image", "music21": "music21"}


def _package_file(package, path):
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"{_PROJECTS[package]} is not installed, and {path} is read from inside it. "
            f"Install what the lab needs: `make setup`, or `pip install {_PROJECTS[package]}`."
        )
    return Path(spec.submodule_search_locations[0]) / path


def _read_checked(path, sha256, remedy):
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {remedy}.")
    content = path.read_bytes()
    _check(content, path, sha256, remedy)
    return content


def _check(content, path, sha256, remedy):
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path} is not the file that the lab was made with: its sha256 is {found[:16]}..., expected "
            f"{sha256[:16]}... It was changed, cut short, or comes from another version. {remedy}."
        )
