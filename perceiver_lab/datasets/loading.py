"""One call for every data set: `load(name, split)`."""

import difflib
import functools
import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_lab.datasets.paths import cache_root
from perceiver_lab.datasets.prepare import prepare, verify
from perceiver_lab.datasets.stock import prepare_stock

# `content_sha256` of each set, the same under every supported version of NumPy, Pillow and TFDS. Part of the
# fingerprint of what was trained on a set; the tests prepare each set and compare.
CONTENT_SHA256 = {
    "digits": "137c52cba03aed1795bf1e084bf19f49335fd1ac2b7a7eeb0eff4d4e32232c76",
    "mnist_small": "efec6cd09b5cef20b6cd30d3c595ce471bb21cce8586e79c41ea5224048fc486",
    "large_digits": "db098a6a7feb3854f4d5609b08f8c3eebfb6d5bc9662919fc16e324c125dde67",
    "cluttered_digits": "d105e23c6109abfbaa3c6c349394c437492b470451b099a25bd2e8ccbc00eece",
    "cluttered_digits/test_1000": "838dac983c981f517bdaa920dcfe515146cc07c3d6a9da9f7f616128b623afc4",
    "photos": "9b6fc2b05b41377aef19e5221563939d5cdef2616f9554806e15a7450788868c",
    "scenes": "c15279fe40c59afe4d0604270d983ea149a97e387da1032289e16ebb527914f4",
    "scenes/fine": "502ab27f699ddbe4a57a6b0126b2ada8b71ad76f2add048a99844bbd10090709",
    "moving_shapes": "44760c9a14ab86520ded839a3a3c5a1943b94d3bfb4c74823bef7c0d4dc38745",
    "shakespeare": "ef68b766e06c5c37fdaffc125e99ce6036b11ffe83bb5190e36bbb2958961cbe",
    "shakespeare/speakers": "d64de79fc71387adbedb6a23df776107abe5764def86a4a3043c781e3e36aa50",
    "shakespeare/long": "2a33f4d706ce88ec65b5655b70fbb6dadc09482b99d2712bf6c979c2699cb492",
    "spoken_digits": "3b6eb52810841716db12070c54cb5b496bde113b94253f688642a487c111bf85",
    "spoken_digits/speaker": "b01c5e0d26c7341ceb46910107fc4d9fa4b0dc0cf08b729f9102911a7afbecbd",
    "moving_digits": "c2f9c5d9c38195aafbedb29e2f5eeaddc837edbd6651a539f2d58abad0fde092",
    "captions": "58df51665fd555df14aafb77311c19ce1e7228df3def968ad0afa578f64ad827",
    "battles": "36523f1bdf46b5d67a8d051e9295e47af44fb628e5bf26e604f8ad7483ace688",
    "play_tasks": "67b2014dd1bae31e23976b58e7a5a01fd99d167c61142f1854914c79dbb3ded5",
    "one_sense": "2d513d6e23bd029ee62f7877b69dc336d522885d9db7060fd23a85953a85045a",
    "shakespeare/events": "1edecf7dba612556ce09dc6a49c9dbede7bc0e69016b6a280891ba60bd25e5ad",
    "mirrored": "20006c1eb669340205e450505875ccd53301bcd9b61aea345c8d8999d412aa93",
    "photo_windows": "0041df73d8c492289ed198f5c96423b18bc51240e923a68da03235956bdc41f2",
    "chorales": "4bc2a7fdfcd64ece01824e2b57a2ca52a9c575c4630b8556e17d0245fe4e4987",
    "clouds": "90395f7833a5dda80a0b2a94debcf21b092ef8b7341a98f1df19b805c7a9b06c",
}


def names() -> tuple[str, ...]:
    """The data sets that need no network, in the order of the lessons."""
    return tuple(CONTENT_SHA256)


def data_hash(name: str) -> str:
    """The pinned sha256 of an offline set's records, for fingerprints. Reads and prepares nothing.

    Of a TFDS set with its version, such as "imagenet2012:5.1.0", it is the sha256 of this name: TFDS changes the
    version where records change.

    Raises:
      ValueError: not an offline set, and no version.
    """
    if ":" in name:
        return hashlib.sha256(name.encode()).hexdigest()
    if name not in CONTENT_SHA256:
        raise ValueError(
            f"{name!r} has no pinned content; the offline sets are {', '.join(names())}. A TFDS set is pinned by its "
            "version, as in 'imagenet2012:5.1.0'."
        )
    return CONTENT_SHA256[name]


def load(name: str, split: str, *, data_dir: str | os.PathLike | None = None) -> Any:
    """Open a data set for random access, preparing it first if this has not been done yet.

    Args:
      name: an offline set (`names()`), or any TFDS set by its TFDS name, with or without version, such as "mnist",
        "cifar10" or "imagenet2012:5.1.0", for those who are online.
      split: "train", "test", ..., or a part of one in TFDS's notation: "train[:100]".
      data_dir: where prepared sets lie; by default `cache_root()`.

    Returns:
      A sequence of records: `len(source)`, `source[i]` -> dict of NumPy arrays, labels as int, text as bytes.
      `source.dataset_info` has description, features and, as `redistribution_info.license`, the licence.

    Raises:
      ValueError: unknown set or split, or files in the set's place that are corrupt or foreign.
      OSError: the folder cannot be written to; ConnectionError: not prepared and no network; FileNotFoundError:
        the set wants files fetched by hand.
      ModuleNotFoundError: preparing a stock set without TensorFlow.
    """
    builder = _open(name, data_dir)
    try:
        return builder.as_data_source(split=split)
    except (KeyError, ValueError, AssertionError) as error:
        splits = ", ".join(f"{key!r} ({known.num_examples} records)" for key, known in builder.info.splits.items())
        raise ValueError(
            f"There is nothing under the split {split!r} of {name!r}; it has {splits}. A part of a split is written "
            "like 'train[:100]'."
        ) from error


def arrays(name: str, split: str, *, data_dir: str | os.PathLike | None = None) -> dict[str, np.ndarray]:
    """A whole set in memory, decoded: each feature of `load(name, split)` stacked along a new first axis.

    The 6,000 training canvases of large_digits take 1 GB.

    Returns:
      For "digits": {"image": (n, 8, 8, 1) uint8, "label": (n,) int64}. Row i is record i.

    Raises:
      ValueError: records of different shapes (photos); otherwise as `load`.
    """
    source = load(name, split, data_dir=data_dir)
    stacked = {}
    for row in range(len(source)):
        for key, value in source[row].items():
            value = np.asarray(value)
            if row == 0:  # filled row by row: a list of the records first would take the memory twice
                stacked[key] = np.empty((len(source), *value.shape), object if value.dtype.kind == "S" else value.dtype)
            if value.shape != stacked[key].shape[1:]:
                raise ValueError(
                    f"The records of {name!r} differ in the shape of {key!r}, so they cannot be stacked into one "
                    f"array. Take them one by one from load({name!r}, {split!r})."
                )
            stacked[key][row] = value
    return stacked


def content_sha256(name: str, *, data_dir: str | os.PathLike | None = None) -> str:
    """The sha256 over all records of an offline set, split by split in order, canvases as their JPEG bytes.

    Features are hashed one by one and not as the stored record, whose parts protobuf's versions order differently.
    """
    tfds = _import_tfds()
    builder = _open(name, data_dir)
    images = (key for key, feature in builder.info.features.items() if isinstance(feature, tfds.features.Image))
    decoders = {key: tfds.decode.SkipDecoding() for key in images}
    digest = hashlib.sha256()
    for split in sorted(builder.info.splits):
        source = builder.as_data_source(split=split, decoders=decoders or None)
        for index in range(len(source)):
            for key, value in sorted(source[index].items()):
                content = value if isinstance(value, bytes) else np.asarray(value).tobytes()
                digest.update(f"{split} {index} {key} {np.shape(value)} {len(content)} ".encode())
                digest.update(content)
    return digest.hexdigest()


def _open(name, data_dir):
    """The TFDS builder of a set that is prepared and, if it is ours, verified."""
    folder = Path(data_dir).expanduser().absolute() if data_dir is not None else cache_root()
    return _open_own(name, folder) if name in CONTENT_SHA256 else _open_stock(name, folder)


def _open_own(name, folder):
    _import_tfds().disable_progress_bar()  # ours has its own
    from perceiver_lab.datasets.builders import BUILDERS

    base, _, config = name.partition("/")

    def make_builder(data_dir):
        options = {"config": config} if config else {}
        return BUILDERS[base](data_dir=data_dir, file_format="array_record", **options)

    prepare(make_builder, folder, name.replace("/", "-"), CONTENT_SHA256[name])
    builder = make_builder(folder)
    verify(Path(builder.data_path))
    return builder


def _open_stock(name, folder):
    tfds = _import_tfds()
    known = tfds.list_builders(with_community_datasets=False)
    if re.split("[/:]", name)[0] not in known:
        near = difflib.get_close_matches(name.split(":")[0], [*names(), *known], n=3)
        hint = f" Did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
        raise ValueError(
            f"There is no data set {name!r}.{hint} Offline there are {', '.join(names())}; online, also the "
            f"{len(known)} sets of tensorflow_datasets by their names, such as mnist, cifar10 and imagenet2012."
        )
    tfds.enable_progress_bar()
    builder = tfds.builder(name, data_dir=folder, file_format="array_record", try_gcs=False)
    if not builder.is_prepared():
        prepare_stock(builder, name, folder)
    return builder


@functools.cache
def _import_tfds():
    """TensorFlow Datasets, with two of its remarks left out that tell a learner nothing."""
    import tensorflow_datasets as tfds

    remarks = ("OpenCV is not installed", "Variant folder")
    logging.getLogger("absl").addFilter(lambda record: not str(record.msg).startswith(remarks))
    return tfds
