"""The files of Perceiver AR's release: whole models, a training run, cached rollouts; parts: `perceiver_ar_units`."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.convert import load_haiku, to_haiku
from perceiver_lab.layers import LearnedPositions, SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.ops import inputs_and_targets
from perceiver_lab.training import adamw, make_train_step, next_token_loss
from tests.drawn import drawn
from tests.parity import perceiver_ar_rollout, perceiver_ar_units
from tests.parity.vectors import Options, Unsupported, Vectors, as_one_program

RNGS = nnx.Rngs(0)  # the weights are all replaced

# Options with one value in all files. Some could be anything without an effect on the numbers; none is ignored.
FIXED = {
    "activation_name": "sq_relu",
    "additional_cross_attend_after_layers": None,
    "chunked_cross_attention": False,
    "chunked_cross_key_size": 4096,
    "chunked_cross_query_size": 1024,
    "concat_pos": True,
    "cross_attention_head_group_size": 0,
    "cross_attention_shape_for_attn": "kv",
    "encoder_use_query_residual": True,
    "final_layer_init_zeros": True,
    "fraction_heads_to_rotate": 1.0,
    "include_initial_cross_attention": True,
    "initial_query_embed_activation_name": "sq_relu",
    "initial_query_embed_num_layers": 2,
    "initial_query_embed_style": "none",
    "initial_query_offsetting": False,
    "mask_style": "final_block",
    "name": "perceiver_ar",
    "num_latents_per_position": 1,
    "share_learned_initial_query": False,
    "train_input_positions": 0,
    "z_pos_enc_init_scale": 0.02,
}


def outputs(vectors: Vectors) -> dict[str, np.ndarray]:
    """Everything that can be computed for this file, under the file's own keys."""
    if vectors.path.stem.startswith("unit_"):
        return perceiver_ar_units.outputs(vectors)
    options = Options(vectors.config, vectors.name)
    if "start_step" in options:
        return perceiver_ar_rollout.outputs(vectors, options, build)
    if "optimizer" in options:
        return _train_steps(vectors, options)
    return _forward(vectors, options)


def tolerance(vectors: Vectors, key: str, expected: np.ndarray) -> float:
    """Absolute, as the files' README has it; what counts or masks is exact, rates are of the size 1e-4.

    Parameters after steps: Adam divides each gradient by its own size, so an entry moves by up to the learning rate
    however small its gradient is. Where that is of the size of float32's rounding, such as for the biases of keys that
    no position turns, which the softmax ignores, the reference's parameters hold its rounding: `_adam_noise`.
    """
    if expected.dtype.kind in "iub" or key.endswith("_mask"):
        return 1e-9
    if "logits" in key or vectors.path.stem.startswith(("unit_losses", "unit_posenc", "unit_sampling")):
        return 3e-5
    if vectors.path.stem.startswith("unit_schedules"):
        return 1e-9
    if "/param_after_" in key:
        return 1e-5 + _adam_noise(vectors, key.split("_steps/")[1])
    return 1e-4


def _adam_noise(vectors, name):
    """How far rounding alone may carry the entries of a parameter: learning rates x rounding / gradient."""
    gradient = np.abs(vectors.expected[f"output/grad/{name}"])
    options = vectors.config["optimizer"]
    names = "schedule", "base_lr", "warmup_steps", "training_steps"
    schedule = perceiver_ar_units.schedule(*(options[one] for one in names))
    moved = sum(float(schedule(step)) for step in range(len(vectors.expected["output/loss_per_step"])))
    rounding = np.finfo(np.float32).eps * gradient.max()
    noise = moved * np.minimum(rounding / np.maximum(gradient, 1e-30), 2.0)
    # Exactly zero means that nothing reaches the entry: the row of a token that does not occur, a unit of an MLP that
    # is off. Of the biases of keys it is what rounding left.
    reached = gradient.ndim == 1 and "/dense/" not in name
    return noise if reached else np.where(gradient == 0, 0.0, noise)


def build(options: Options) -> PerceiverAR:
    """A model of the sizes in the file."""
    for name, value in FIXED.items():
        options.expect(name, value)
    rotary = options.take("position_encoding_type")
    if rotary not in ("rotary", "absolute"):
        raise Unsupported(f"position_encoding_type={rotary!r} cannot be built; only 'rotary' and 'absolute' can.")
    rotary, from_data = rotary == "rotary", options.take("use_positions_from_data")
    negative, fraction = options.take("use_negative_rotary_positions"), options.take("fraction_to_rotate")
    wavelength = options.take("max_wavelength")
    config = PerceiverARConfig(
        num_latents=options.take("z_index_dim"),
        latent_channels=options.take("num_z_channels"),
        max_context=options.take("max_context_length"),
        num_self_attends=options.take("num_transformers_per_block"),
        num_cross_heads=options.take("num_cross_attend_heads"),
        num_self_heads=options.take("num_transformer_heads"),
        cross_widening_factor=options.take("cross_attend_widening_factor"),
        self_widening_factor=options.take("transformer_widening_factor"),
        rotary_fraction=fraction if rotary else 0.0,
        max_wavelength=wavelength if rotary else None,
        position_source="data" if from_data else "negative_terminal" if negative and rotary else "terminal",
        dropout_rate=options.take("dropout_prob"),
        input_dropout_rate=options.take("encoder_dropout_prob"),
        latent_dropout_rate=options.take("latent_dropout_prob"),
    )
    channels = options.take("input_embed_dim")

    def model():
        tables = _tables(options, channels, config.max_context, rotary)
        adapter = TokenInput(options.take("num_classes"), channels, positions=tables, rngs=RNGS)
        return PerceiverAR(config, input_adapter=adapter, rngs=RNGS)

    made = drawn(model)
    options.done()
    return made


def _tables(options, channels, max_context, rotary):
    """The tables of absolute positions; rotary models name them too, and have none."""
    kind, learned = options.take("position_encoding"), options.take("learnable_position_embeddings")
    sizes = [max_context if size == -1 else size for size in options.take("input_idx_size")]
    if rotary and kind in ("sinusoidal", "random"):
        return []
    if kind == "sinusoidal" and not learned:
        return [SinusoidalPositions(size, channels) for size in sizes]
    if kind in ("sinusoidal", "random") and learned:
        return [LearnedPositions((size,), channels, init_std=1.0, rngs=RNGS) for size in sizes]
    raise Unsupported(
        f"position_encoding={kind!r} with learnable_position_embeddings={learned} cannot be built; only a fixed "
        "'sinusoidal' one and learned tables can."
    )


def _forward(vectors, options):
    model = build(options)
    load_haiku(model, vectors.params)
    tokens = vectors.inputs["inputs"]
    positions = vectors.inputs.get("input_idxs") if model.config.position_source == "data" else None
    found = as_one_program(_parts, model, tokens, positions)
    return {f"output/{name}": value for name, value in found.items()}


def _parts(model, tokens, positions):
    """What a model answers, and what is inside: one program, where part after part would be many."""
    placement = model.place(tokens, positions=positions)
    inputs = model.embed(tokens, placement.positions)
    turns = model.turns(placement.positions, placement.latent_index)
    latents = model.read(inputs, placement)
    found = {
        "latent_last_steps": placement.latent_index,
        "encoder_mask": placement.read_mask[:, None].astype(jnp.int8),
        "processor_mask": placement.latent_mask[:, None].astype(jnp.int8),
        "embedded_inputs": inputs,
        "positions": placement.positions[..., 0],
        "query_linear": model.first_latents(inputs, placement.latent_index),
        "after_cross_attention": latents,
        "logits": model(tokens, positions=positions),
    }
    for number in range(model.config.num_self_attends):
        latents = model.stack.layer(number)(latents, mask=placement.latent_mask, rotation=turns.latents)
        found[f"after_self_attention_{number}" if number else "after_self_attention"] = latents
    return found | {"final_layer_norm": model.norm(latents)}


def _train_steps(vectors, options):
    model = build(options.inside("model"))
    loss_fn = next_token_loss(label_smoothing=options.take("label_smoothing"), z_loss=options.take("z_loss"))
    optimizer = _optimizer(options.inside("optimizer"))
    options.done()
    load_haiku(model, vectors.params)
    events, places = vectors.inputs["events"], vectors.inputs["event_idxs"]
    inputs, targets = inputs_and_targets(events)
    batch = {"inputs": inputs, "targets": targets, "positions": inputs_and_targets(places, events)[0]}
    step = make_train_step(model, optimizer, loss_fn)
    params, state, opt_state = step.init()
    gradients = jax.jit(jax.grad(lambda params: loss_fn(step.merge(params, state), batch, nnx.Rngs(0))[0]))(params)
    named = _as_named(step.merge(gradients, state))
    reports = []
    for _ in range(len(vectors.expected["output/loss_per_step"])):
        params, state, opt_state, report = step(params, state, opt_state, batch, jax.random.key(0))
        reports.append(report)
    loss, z_loss, count = (reports[0][name] for name in ("loss", "z_loss", "tokens"))
    found = {
        "model_inputs": inputs,
        "model_targets": targets,
        "model_input_idxs": batch["positions"],
        "scalar_next_events_loss": loss,
        "scalar_next_events_loss_per_event": loss / count,
        "scalar_next_events_z_loss": z_loss,
        "scalar_next_events_z_loss_per_event": z_loss / count,
        "scalar_num_next_events": count,
        "scalar_total_loss": loss,
        "scalar_total_z_loss": z_loss,
        "grad_global_norm": reports[0]["grad_norm"],
        "loss_per_step": jnp.stack([report["loss"] for report in reports]),
    }
    found |= {f"grad/{name}": value for name, value in named.items()}
    after = _as_named(step.merge(params, state), tables=True)
    found |= {f"param_after_{len(reports)}_steps/{name}": value for name, value in after.items()}
    return {f"output/{name}": value for name, value in found.items()}


def _as_named(model, tables=False):
    """Arrays by the reference's names. A fixed table has no gradient; as a parameter it stays what it is."""
    named = to_haiku(model)[0]
    fixed = [
        f"perceiver_ar/~/embed_{number}/embeddings"
        for number, table in enumerate(model.input_adapter.positions, start=1)
        if isinstance(table, SinusoidalPositions)
    ]
    return named if tables else named | {name: np.zeros_like(named[name]) for name in fixed}


def _optimizer(options):
    rate, warmup, total = (options.take(name) for name in ("base_lr", "warmup_steps", "training_steps"))
    schedule = perceiver_ar_units.schedule(options.take("schedule"), rate, warmup, total)
    betas = {name: options.take(name) for name in ("b1", "b2", "eps")}
    optimizer = adamw(schedule, clip=options.take("clip_global_norm"), **betas)
    options.done()
    return optimizer
