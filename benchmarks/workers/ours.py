"""This library's side of peers.py: python ours.py CASE FOLDER THREADS, then requests on standard input."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import optax
from answering import answer_requests
from flax import nnx
from safetensors.numpy import save_file

from perceiver_lab.adapters import ByteInput, ByteOutput, ImageInput, OnlyQuery, PositionQueries, TokenInput
from perceiver_lab.convert import to_huggingface
from perceiver_lab.convert.huggingface_config import huggingface_config
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import Decoder, PerceiverAR, PerceiverARConfig, PerceiverConfig, PerceiverIO
from perceiver_lab.training import cross_entropy, make_train_step


def imagenet_fourier():
    """Perceiver IO on 50,176 pixels with 261 channels: 128 latents of 256, 2 blocks of 4 layers, batch 4."""
    rngs = nnx.Rngs(0)
    config = PerceiverConfig(num_latents=128, latent_channels=256, num_blocks=2, num_self_attends_per_block=4)
    queries = PositionQueries(LearnedPositions((1,), 256, rngs=rngs))
    model = PerceiverIO(
        config,
        input_adapter=ImageInput((224, 224, 3), num_bands=64),
        decoder=Decoder(queries, 256, output_channels=1000, use_query_residual=True, rngs=rngs),
        output_adapter=OnlyQuery(),
        rngs=rngs,
    )
    draw = np.random.default_rng(0)
    return model, draw.normal(size=(4, 224, 224, 3)).astype(np.float32), draw.integers(0, 1000, 4)


def mlm():
    """The language model on 512 bytes of 256 channels: 64 latents of 320, 8 layers, batch 4."""
    rngs = nnx.Rngs(0)
    config = PerceiverConfig(
        num_latents=64, latent_channels=320, num_self_attends_per_block=8, num_cross_heads=8, qk_channels=256,
        v_channels=320,
    )  # fmt: skip
    queries = PositionQueries(LearnedPositions((512,), 256, rngs=rngs))
    model = PerceiverIO(
        config,
        input_adapter=ByteInput(256, 512, rngs=rngs),
        decoder=Decoder(queries, 320, output_channels=None, num_heads=8, qk_channels=256, v_channels=256, rngs=rngs),
        output_adapter=ByteOutput(),
        rngs=rngs,
    )
    draw = np.random.default_rng(0)
    return model, draw.integers(6, 262, (4, 512)).astype(np.int32), draw.integers(6, 262, (4, 512))


def perceiver_ar():
    """2,048 tokens read by 256 latents of 512, six layers, batch 2; what follows each of the last 256 is to be said."""
    rngs = nnx.Rngs(0)
    config = PerceiverARConfig(num_latents=256, latent_channels=512, max_context=2048, num_self_attends=6)
    model = PerceiverAR(config, input_adapter=TokenInput(259, 512, rngs=rngs), rngs=rngs)
    draw = np.random.default_rng(0)
    return model, draw.integers(3, 259, (2, 2048)).astype(np.int32), draw.integers(3, 259, (2, 256))


CASES = {one.__name__: one for one in (imagenet_fourier, mlm, perceiver_ar)}


def loss_fn(model, batch, rngs):
    """Cross-entropy over all answers."""
    logits = model(batch["x"], train=True, rngs=rngs)
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), batch["label"].reshape(-1)), {}


def main():
    case, folder = sys.argv[1], Path(sys.argv[2])
    model, x, label = CASES[case]()
    np.savez(folder / "batch.npz", x=x, label=label)
    if case != "perceiver_ar":  # which Hugging Face does not have
        save_file(to_huggingface(model), folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(huggingface_config(model)))
    graphdef, state = nnx.split(model)
    call = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))
    train_step = make_train_step(model, optax.adamw(1e-4, weight_decay=0.01), loss_fn)
    carry, key = list(train_step.init()), jax.random.key(0)
    batch = jax.device_put({"x": x, "label": label})

    def step():
        *after, metrics = train_step(*carry, batch, key)
        carry[:] = after
        metrics["loss"].block_until_ready()

    about = {"jax": jax.__version__, "device": jax.devices()[0].device_kind}
    answer_requests(lambda: np.asarray(call(state, batch["x"])), step, about)


if __name__ == "__main__":
    main()
