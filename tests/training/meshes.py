"""What must hold on many devices, for a process of its own: python meshes.py FOLDER prints one JSON line of facts.

The process that starts it gives it eight virtual devices:  XLA_FLAGS=--xla_force_host_platform_device_count=8
"""

import functools
import json
import math
import re
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.datasets import pipeline, to_float
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.ops import CrossParams, cross_attend, cross_attend_slices
from perceiver_lab.training import Checkpointer, Layout, adamw, make_mesh, make_train_step, parse_mesh, train

STEPS = 20
MESH = "data=2,fsdp=2,inputs=2"
COLLECTIVE = re.compile(
    r"= (.*?) (?:all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)(?:-start)?\(", re.M
)
CONFIG = PerceiverConfig(
    num_latents=4, latent_channels=16, num_self_attends_per_block=1, num_cross_heads=2, qk_channels=16,
    num_self_heads=2, dropout_rate=0.1,
)  # fmt: skip


def model(side=8):
    """A Perceiver with everything in it that could depend on where records and inputs lie: heads, dropout."""
    rngs = nnx.Rngs(3)
    adapter = ImageInput((side, side, 1), num_bands=3)
    return Perceiver(CONFIG, input_adapter=adapter, output_adapter=ClassOutput(16, 4, rngs=rngs), rngs=rngs)


def batches(share=(0, 1)):
    """Made-up pictures, 40 of them: epochs of 5 batches."""
    rng = np.random.default_rng(1)
    image, label = rng.integers(12, size=(40, 8, 8, 1)), rng.integers(4, size=40)
    image[np.arange(40), 2 * label] += 5  # the bright row tells the class
    records = {"image": image.astype(np.uint8), "label": label}
    return pipeline(records, batch_size=8, seed=2, transforms=(to_float,), share=share)


def trained(layout, folder):
    """A run; every loss is logged, and all checkpoints are kept."""
    return train(
        model(),
        batches() if layout is None else batches(layout.share),
        steps=STEPS,
        optimizer=adamw(1e-2, weight_decay=0.1),
        seed=4,
        checkpointer=Checkpointer(folder, fingerprint={"config": "meshes"}, keep=STEPS),
        checkpoint_every=8,
        log_file=folder / "metrics.jsonl",
        log_every=1,
        progress=False,
        layout=layout,
    )


def losses(run):
    return [record["loss"] for record in run.history if "loss" in record]


def layout(text):
    return Layout(make_mesh(parse_mesh(text)))


def attention_differences():
    """Outputs and gradients of sliced cross-attention against the whole, in every form, with and without a mask."""
    rng, found = np.random.default_rng(0), {}
    b, n, m, c, h, d, e = 4, 3, 64, 5, 2, 4, 3

    def normal(*shape):
        return jnp.asarray(rng.standard_normal(shape), jnp.float32)

    params = CrossParams(normal(c), normal(c), normal(c, h * d), normal(h * d), normal(c, h * e), normal(h * e))
    arguments = (normal(b, n, h, d), 3 * normal(b, m, c) + 1, params)
    mask = rng.random((b, n, m)) < 0.5
    mask[0, 1] = False  # this query may attend to nothing,
    mask[1, 2, : m // 2] = False  # and this one to nothing in the first slice
    mask, mesh = jnp.asarray(mask), make_mesh(parse_mesh(MESH))

    def mapped(form):
        def read(q, inputs, params, mask):
            return cross_attend(q, inputs, params, mask=mask, form=form, chunk=5, axis_name="inputs")

        specs = (jax.P(), jax.P(None, "inputs"), jax.P(), jax.P(None, None, "inputs"))
        return jax.shard_map(read, mesh=mesh, in_specs=specs, out_specs=jax.P(), axis_names={"inputs"}, check_vma=False)

    def plain(q, inputs, params, mask):
        return cross_attend(q, inputs, params, mask=mask, form="plain")

    def slices(q, inputs, params, mask):
        return cross_attend_slices(q, inputs, params, mask=mask, axis_name="inputs")

    @functools.partial(jax.jit, static_argnums=0)
    def run(attend, mask):
        def weighted(arguments):
            out = attend(*arguments, mask)
            return (out**3).sum(), out

        return jax.grad(weighted, has_aux=True)(arguments)

    expected = run(plain, mask)
    for form in ("plain", "chunked", "folded", "folded_chunked"):
        found[form] = difference(run(mapped(form), mask), expected)
    with jax.set_mesh(mesh):
        found["chosen"] = difference(run(slices, mask), expected)
        found["chosen, without mask"] = difference(run(slices, None), run(plain, None))
    return found


def difference(found, expected):
    """The largest in any array, relative to that array's largest entry.

    The bias of the keys has no influence: its gradient, all rounding, is measured against numbers of a thousand.
    """
    differences = []
    for (path, one), other in zip(
        jax.tree_util.tree_flatten_with_path(found)[0], jax.tree.leaves(expected), strict=True
    ):
        one, other = np.asarray(one), np.asarray(other)
        scale = 1e3 if "key_bias" in str(path) else np.abs(other).max()
        differences.append(float(np.abs(one - other).max() / scale))
    return max(differences)


def one_step(side):
    """A training step over side x side inputs: what it hands between devices, what each holds, what it frees."""
    where = layout(MESH)
    step = make_train_step(model(side), adamw(1e-2), layout=where)
    batch = where.put_batch({"image": np.zeros((4, side, side, 1), np.float32), "label": np.zeros(4, np.int64)})
    arrays, key = step.init(), jax.random.key(0)
    with step.using_mesh():
        program = step.compiled.lower(*arrays, batch, key).compile()
    sizes = {"f32": 4, "s32": 4, "u32": 4, "pred": 1, "s64": 8}
    handed = [shape for one in COLLECTIVE.findall(program.as_text()) for shape in re.findall(r"(\w+)\[([\d,]*)\]", one)]
    params, _, opt_state, _ = program(*arrays, batch, jax.device_put(key, where.replicated))
    kernel = params["encoder"]["reads"][0]["attention"]["query"]["kernel"][...]
    moment = next(leaf for leaf in jax.tree.leaves(opt_state) if leaf.shape == kernel.shape)
    return {
        "collectives": len(handed),
        "bytes": sum(sizes[kind] * math.prod(int(one) for one in shape.split(",") if one) for kind, shape in handed),
        "image": batch["image"].addressable_shards[0].data.shape,
        "kernel": [kernel.shape, kernel.addressable_shards[0].data.shape],
        "moment": moment.addressable_shards[0].data.shape,
        "given away": all(leaf.is_deleted() for leaf in jax.tree.leaves(arrays)),
    }


def refusals():
    """What is said to requests that eight devices cannot meet."""
    requests = {
        "devices": lambda: layout("data=3"),
        "batch": lambda: layout("data=4").check(model(), 6),
        "whole inputs": lambda: layout("inputs=2").check(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), 8),
        "inputs": lambda: slices_of(63),
    }
    said = {}
    for name, request in requests.items():
        try:
            request()
        except ValueError as error:
            said[name] = str(error)
    return said


def slices_of(num_inputs):
    """Read so many inputs on a mesh that slices them in two."""
    zeros = jnp.zeros
    params = CrossParams(zeros(5), zeros(5), zeros((5, 4)), zeros(4), zeros((5, 4)), zeros(4))
    with jax.set_mesh(make_mesh(parse_mesh("inputs=2"))):
        cross_attend_slices(zeros((1, 3, 1, 4)), zeros((1, num_inputs, 5)), params, axis_name="inputs")


def main(folder):
    """Every run twice: eight devices and one go on from what the other had after 8 steps."""
    layouts = {"one device": None, "eight devices": layout(MESH)}
    runs = {name: losses(trained(where, folder / name)) for name, where in layouts.items()}
    for name, other in zip(layouts, reversed(layouts), strict=True):
        for step in (16, STEPS):
            shutil.rmtree(folder / name / f"step_{step:08d}")
        runs[f"{name}, then {other}"] = losses(trained(layouts[other], folder / name))
    facts = {"devices": jax.device_count(), "losses": runs, "attention": attention_differences()}
    print(json.dumps(facts | {"steps": [one_step(side) for side in (8, 32)], "refusals": refusals()}))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.config.update("jax_disable_most_optimizations", True)  # most of the time goes to the compiler,
    jax.config.update("jax_compilation_cache_dir", str(where / "compiled"))  # which need not see a program twice
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    main(where)
