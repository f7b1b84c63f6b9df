"""Writes fixtures/haiku_*.pickle: what Haiku and JAX themselves pickle. Needs dm-haiku, which the tests do not.

python tests/convert/make_haiku_fixtures.py
"""

import collections
import pickle
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from haiku import data_structures

FOLDER = Path(__file__).parent / "fixtures"


def main():
    params = {
        "encoder/~/linear": {"w": jnp.arange(6.0).reshape(2, 3), "b": np.arange(3, dtype=np.float32)},
        "norm": {"scale": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)), "offset": jnp.bool_(True)},
    }
    state = {"norm/~/mean_ema": {"counter": jnp.int32(3), "average": np.float64(2.5), "hidden": np.ones(2, ">f4")}}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        flat = data_structures.to_immutable_dict(params)
        whole = collections.OrderedDict(params=flat, state=state, step=7)
        (FOLDER / f"haiku_{protocol}.pickle").write_bytes(pickle.dumps(whole, protocol))


if __name__ == "__main__":
    main()
