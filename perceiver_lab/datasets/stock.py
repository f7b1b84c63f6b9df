"""Standard TFDS data sets by name: what must be there before one can be prepared, and what to say when it is not."""

import importlib.util
import socket
import threading
from pathlib import Path
from typing import Any

from perceiver_lab.datasets.prepare import locked

PROBE_HOST = ("storage.googleapis.com", 443)  # where TFDS keeps checksums and most of its archives
PROBE_SECONDS = 1.8

# The offline set that can stand in for a stock set, in kind if not in size.
STAND_INS = {
    "mnist": "mnist_small",
    "fashion_mnist": "mnist_small",
    "emnist": "mnist_small",
    "cifar10": "large_digits",
    "cifar100": "large_digits",
    "imagenet2012": "large_digits",
    "tiny_shakespeare": "shakespeare",
    "lm1b": "shakespeare",
    "pg19": "shakespeare",
    "glue": "shakespeare/speakers",
    "imdb_reviews": "shakespeare/speakers",
    "spoken_digit": "spoken_digits",
    "speech_commands": "spoken_digits",
    "nsynth": "spoken_digits",
    "moving_mnist": "moving_digits",
    "ucf101": "moving_digits",
}


def online(seconds: float = PROBE_SECONDS) -> bool:
    """Whether the network answers, asked with one connection and at most `seconds` of patience.

    Looking up a host's address has no time limit of its own and can hang for minutes, hence the thread.
    """
    answers = []

    def ask():
        try:
            socket.create_connection(PROBE_HOST, timeout=seconds).close()
            answers.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers)


def prepare_stock(builder: Any, name: str, folder: Path) -> None:
    """Download and prepare a stock set, after checking that this can work.

    Args:
      builder: its TFDS builder.
      name: the name as the caller wrote it.
      folder: the data folder.

    Raises:
      ConnectionError: no network.
      ModuleNotFoundError: TensorFlow is not installed.
      FileNotFoundError: the set wants files that must be fetched by hand.
      OSError: the folder cannot be written to.
    """
    stand_in = STAND_INS.get(builder.name, "mnist_small")
    if not online():
        raise ConnectionError(
            f"{name!r} is not prepared in {folder}, and there is no network to fetch it from ({PROBE_HOST[0]} did not "
            f"answer within 2 seconds). Offline, use {stand_in!r} instead: load({stand_in!r}, 'train')."
        )
    if importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError(
            f"Preparing {name!r} needs TensorFlow once (reading it afterwards does not), and TensorFlow is not "
            "installed. Install the extra: pip install 'perceiver-lab[tfds]'. Without it, use the offline set "
            f"{stand_in!r} instead."
        )
    _check_manual_files(builder, name, folder)
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # TensorFlow only packs records here; the memory belongs to JAX
    with locked(folder, builder.name):
        _remove_leftovers(Path(builder.data_path).parent)
        builder.download_and_prepare()


def _check_manual_files(builder, name, folder):
    manual = folder / "downloads" / "manual"
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not (manual.is_dir() and any(manual.iterdir())):
        wanted = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise FileNotFoundError(
            f"{name!r} may not be downloaded by a program: fetch its files yourself and put them into {manual}, then "
            f"call again. What is wanted, in the words of TFDS: {wanted}"
        )


def _remove_leftovers(folder):
    """TFDS builds in `incomplete.*` folders; under the lock nobody else does, so these are from runs that died."""
    import shutil

    for leftover in folder.glob("incomplete.*"):
        shutil.rmtree(leftover, ignore_errors=True)
