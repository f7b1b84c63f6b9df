"""The questions about the plays as a TFDS builder. To be imported inside functions only, as it imports tfds."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import play_tasks
from perceiver_lab.datasets.bytes import encode_text, pad_ids
from perceiver_lab.datasets.plays import PIECE


class PlayTasks(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Pieces of plays by William Shakespeare with four questions: speaker, kind, verse or prose, one piece or two.

    "bytes" are ids (byte + 6, padded with 0), "task" is the question, "label" the answer among that task's own. "train"
    and "test" have all tasks, mixed; "train_speaker" and so on have one each.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "bytes": tfds.features.Tensor(shape=(PIECE,), dtype=np.int32, encoding="zlib"),
            "task": tfds.features.ClassLabel(names=list(play_tasks.TASKS)),
            "label": np.int64,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            homepage="https://github.com/karpathy/char-rnn",
            license="public domain",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        splits = {}
        for part in ("train", "test"):
            splits[part] = self._generate_examples(part, tuple(play_tasks.TASKS))
            splits |= {f"{part}_{task}": self._generate_examples(part, (task,)) for task in play_tasks.TASKS}
        return splits

    def _generate_examples(self, part, tasks):
        records = [
            {"bytes": pad_ids(encode_text(piece), PIECE), "task": task, "label": play_tasks.TASKS[task].index(label)}
            for task in tasks
            for piece, label in play_tasks.labelled_pieces(task, part)
        ]
        for index, number in enumerate(np.random.default_rng(0).permutation(len(records))):
            yield index, records[number]
