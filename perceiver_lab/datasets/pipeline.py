"""From records to batches: shuffled, augmented and resumable, the same on every machine.

Every record of every epoch has a generator of its own, `default_rng([seed, epoch, record])`. Augmentation therefore
does not depend on the batch size, on threads or on where a run was interrupted, and the state of an iterator is one
number.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from perceiver_lab.datasets.loading import load

if TYPE_CHECKING:
    import grain

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]
Mix = Callable[[Record], Record]

# A set of at most this many bytes is read once and kept. Above it, records are read and decoded as they are needed.
MEMORY_BYTES = 64 * 2**20


def pipeline(
    source: str | Sequence[Record] | Mapping[str, np.ndarray],
    *,
    split: str | None = None,
    batch_size: int,
    seed: int = 0,
    transforms: Sequence[Transform] = (),
    mix: Mix | None = None,
    repeat: bool = True,
    shuffle: bool = True,
    share: tuple[int, int] = (0, 1),
) -> "grain.DatasetIterator[dict[str, np.ndarray]]":
    """An iterator over batches of a data set.

    ::

        batches = pipeline("large_digits", split="train", batch_size=64, seed=0,
                           transforms=(random_crop(224), sample_pixels(5120), to_float))
        batch = next(batches)  # {"image": (64, 5120, 3), "positions": (64, 5120, 2), "label": (64,), "record": (64,)}
        state = batches.get_state()  # a small dict for json; set_state(state) goes on after this batch, bit for bit

    Args:
      source: the name of a data set; or what `load` returns, or any sequence of records; or `arrays(...)`, a dict of
        arrays with one row per record. A set of up to 64 MB is read into memory once. A larger one is read and decoded
        by one thread, a few batches ahead; where memory allows, `arrays(name, split)` spares the decoding.
      split: the split of a named set; of no meaning for records and arrays.
      batch_size: records per batch.
      seed: of the order and of every transform, a whole number from 0 to 2**32 - 1.
      transforms: functions (record, rng) -> record, applied in this order (`perceiver_lab.datasets.transforms`). A
        record is a dict of arrays; a transform returns a new dict and leaves the arrays it was given as they are.
      mix: a function that makes a batch of one of twice the size, such as `mix_pairs(1000)`: each batch then takes
        2 x batch_size records. Wants `repeat`, for an epoch's last records need not come out even.
      repeat: go on for ever, in a new order each epoch; batches then run across the ends of epochs. Otherwise stop
        after one epoch, whose last batch may be smaller.
      shuffle: visit the records in random order, each once per epoch. Otherwise in their own order.
      share: (number, count): read only this part of each batch, one of `count` equal ones. What the parts hold together
        is the batch of share=(0, 1), in its order; what `mix` makes of one is that of the same part of each quarter of
        its records, as `mix_pairs` wants it.

    Returns:
      A `grain.DatasetIterator` with `get_state()` and `set_state(state)`. A batch has each feature of the transformed
      records stacked along a new first axis, and "record": their numbers in the source, (batch_size,) int64. After
      `mix` it is what that returns.

    Raises:
      ValueError: a bad argument, no records, or (from `next`) records that cannot be stacked. Otherwise as `load`.
    """
    _check(batch_size, seed, transforms)
    if mix is not None and not (callable(mix) and repeat):
        raise ValueError(
            f"mix={mix!r} with repeat={repeat}: expected a function batch -> batch, such as mix_pairs(1000), and "
            "repeat=True."
        )
    if isinstance(source, str):
        if split is None:
            raise ValueError(f"pipeline({source!r}, ...) needs to know what to read: give split='train' or 'test'.")
        source = load(source, split)
    records, in_memory = _records(source)
    places = _places(batch_size, mix, share)

    grain = _import_grain()
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    if not in_memory:
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
    dataset = grain.MapDataset.range(len(records)).seed(int(seed))
    if shuffle:
        dataset = dataset.shuffle()
    if repeat:  # for ever: without a number, grain counts more batches of one than a length in Python can be
        dataset = dataset.repeat(2**50 // len(records))
    size = batch_size if mix is None else 2 * batch_size
    read = _reader(records, int(seed), tuple(transforms))

    def read_batch(number, chosen):  # record numbers are cheap: only those of this share are read
        batch = _stack([read(number * size + place, chosen[place]) for place in places if place < len(chosen)])
        return batch if mix is None else mix(batch)

    return iter(dataset.batch(size, batch_fn=np.stack).map_with_index(read_batch).to_iter_dataset(options))


def _places(batch_size, mix, share):
    """The places in a batch of the records that a share of it is made of."""
    number, count = share
    if share == (0, 1):
        return range(batch_size if mix is None else 2 * batch_size)
    parts = count if mix is None else 2 * count  # half of a mixed batch is made in one way, half in another
    if not 0 <= number < count or batch_size % parts:
        raise ValueError(
            f"share={share} of a batch of {batch_size}: expected (number, count) with number below count, and a count "
            f"that divides the batch{'' if mix is None else ' and leaves an even number of mixed records'}."
        )
    length = batch_size // parts
    starts = [0] if mix is None else range(0, 2 * batch_size, batch_size // 2)
    return [start + number * length + place for start in starts for place in range(length)]


def _import_grain():
    """grain, without the warning that older versions of jaxlib cannot profile its worker processes: we start none."""
    from absl import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        import grain
    finally:
        logging.set_verbosity(verbosity)
    return grain


def _reader(records, seed, transforms):
    """The function (place in the stream, record number) -> transformed record."""
    count = len(records)

    def read(place, number):
        try:
            record = dict(records[number])
            rng = np.random.default_rng([seed, place // count, number]) if transforms else None
            for transform in transforms:
                record = transform(record, rng)
        except BaseException as error:
            error.add_note(f"This came of record {number} of the source, in its epoch {place // count}.")
            raise
        return {**record, "record": np.int64(number)}

    return read


def _stack(records):
    """Records -> batch: each feature stacked along a new first axis."""
    batch = {}
    for key in records[0]:
        values = [np.asarray(record[key]) for record in records]
        shapes = {value.shape for value in values}
        if len(shapes) > 1:
            raise ValueError(
                f"Records {[int(record['record']) for record in records]} cannot be stacked into a batch: their "
                f"{key!r} have shapes {sorted(shapes)}. Crop or resize them to one shape with a transform, or read "
                "them one by one from load(name, split)."
            )
        batch[key] = np.stack(values)
    return batch


class _Rows(Sequence):
    """A dict of arrays seen as a sequence of records: no copies."""

    def __init__(self, columns):
        self.columns = {key: np.asarray(column) for key, column in columns.items()}
        lengths = {key: len(column) if column.ndim else None for key, column in self.columns.items()}
        if len(set(lengths.values())) != 1 or None in lengths.values():
            raise ValueError(
                f"A dict of arrays needs one row per record in each array; the lengths are {lengths}. "
                "arrays(name, split) returns such a dict."
            )

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index):
        return {key: column[index] for key, column in self.columns.items()}


def _records(source):
    """The records as a sequence, and whether they lie in memory."""
    if isinstance(source, Mapping):
        records, in_memory = _Rows(source), True
    elif hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        records, in_memory = source, isinstance(source, list | tuple)
    else:
        raise ValueError(
            f"source is a {type(source).__name__}; expected the name of a data set, a sequence of records such as "
            "load(name, split) returns, or a dict of arrays such as arrays(name, split) returns."
        )
    if not len(records):
        raise ValueError("The source has no records. Choose another split, or a larger part of it.")
    if not in_memory and sum(np.asarray(value).nbytes for value in records[0].values()) * len(records) <= MEMORY_BYTES:
        records, in_memory = [records[index] for index in range(len(records))], True
    return records, in_memory


def _check(batch_size, seed, transforms):
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}; expected a whole number of records, at least 1.")
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}; expected a whole number from 0 to 2**32 - 1.")
    if callable(transforms) or not all(callable(transform) for transform in transforms):
        raise ValueError(
            f"transforms is {transforms!r}; expected a tuple of functions (record, rng) -> record, such as "
            "(random_crop(224), to_float)."
        )
