"""The files of the Hierarchical Perceiver's release: whole models, one attention, regrouping."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.convert import load_haiku
from perceiver_lab.models import HiP, HiPClassBottleneck, HiPConfig
from perceiver_lab.models.hip_modalities import places
from perceiver_lab.models.hip_parts import GroupedCrossAttention
from perceiver_lab.ops.grouping import group, one_group, regroup
from perceiver_lab.training.masking import masked_loss
from tests.drawn import drawn
from tests.parity.vectors import Options, Unsupported, Vectors, as_one_program

RNGS = nnx.Rngs(0)  # the weights are all replaced

# Per level: option of the files -> ours.
LEVELS = {
    "num_self_attends_per_block": "num_self_attends_per_block",
    "z_index_dim": "num_latents",
    "num_z_channels": "latent_channels",
    "num_cross_attend_heads": "num_cross_heads",
    "num_self_attend_heads": "num_self_heads",
    "cross_attend_widening_factor": "cross_widening_factor",
    "self_attend_widening_factor": "self_widening_factor",
}


def outputs(vectors: Vectors) -> dict[str, np.ndarray]:
    """Everything that can be computed for this file, under the file's own keys."""
    options = Options(vectors.config, f"{vectors.name} (base {vectors.config.get('base')})")
    base = options.take("base")
    if base not in _BASES:
        raise Unsupported(f"{vectors.name}: nothing here builds the base {base!r}; what is built: {sorted(_BASES)}.")
    computed = _BASES[base](vectors, options)
    options.done()
    return computed


def tolerance(vectors: Vectors, key: str, expected: np.ndarray) -> float:
    """Absolute, as the files' README has it."""
    return 3e-5


def _regroup(vectors, options):
    found = {}
    for key in vectors.expected:
        _, how, num_groups = key.split("/")
        found[key] = regroup(vectors.inputs["x"], int(num_groups), how)
    return found


def _cross_attention(vectors, options):
    given, model = vectors.inputs, options.inside("model")
    skip = given.get("pre_attention_residual")
    sizes = {
        "num_heads": model.take("num_heads"),
        "widening_factor": model.take("widening_factor"),
        "use_query_residual": model.take("use_post_attention_residual"),
        "skip_channels": None if skip is None else skip.shape[-1],
    }
    widths = given["query_inputs"].shape[-1], given["inputs_kv"].shape[-1]
    module = drawn(lambda: GroupedCrossAttention(*widths, **sizes, rngs=RNGS))
    model.done()
    load_haiku(module, vectors.params, name=next(iter(vectors.params)).partition("/")[0])
    arrays, mask = (given["query_inputs"], given["inputs_kv"]), given.get("attention_mask")

    def outputs(module):
        return {
            "output/out": module(*arrays, skip=skip, mask=mask),
            "output/out_no_mask": module(*arrays, skip=skip),
        }

    return as_one_program(outputs, module)


def _model(vectors, options):
    base, train = options.take("base"), options.take("is_training", False)
    options.take("seed", None)
    names = options.take("modality_order")
    given = {name: vectors.inputs[name] for name in names}
    shapes = {name: array.shape[1:] for name, array in given.items()}
    model = drawn(lambda: _build(options, base, shapes))
    _check_groups(options, model)
    parameters = options.take("num_params", None)
    load_haiku(model, vectors.params)
    assert parameters in (None, sum(array.size for array in vectors.params.values())), f"{parameters} parameters"
    # One program: part after part, several hundred would be compiled.
    computed, whole = as_one_program(
        lambda model, given: _Forward(model, base, vectors, train).run(given), model, given
    )
    assert all(np.array_equal(whole[name], computed[f"output/reconstruction/{name}"]) for name in whole)
    return computed | _masked_errors(vectors, computed)


def _build(options, base, shapes):
    given = options.inside("model")
    config = _config(given, flat=base == "PerceiverIO")
    labels = given.take("label_modalities") if base == "HiPClassBottleneck" else []
    given.done()
    modalities = {name: shape for name, shape in shapes.items() if name not in labels}
    if base != "HiPClassBottleneck":
        return HiP(config, modalities, rngs=RNGS)
    labels = {name: shape for name, shape in shapes.items() if name in labels}
    return HiPClassBottleneck(config, modalities, labels=labels, rngs=RNGS)


def _config(given, *, flat):
    sizes = {ours: given.take(theirs) for theirs, ours in LEVELS.items()}
    groups = [1] if flat else given.take("num_groups")
    sizes = {name: (value,) if flat else tuple(value) for name, value in sizes.items()}
    count = "z_index_dim" if flat else "processor_index_dim"
    embedding, position = given.take("num_embedding_channels"), given.take("num_position_encoding_channels", None)
    given.take("activation_name", None)  # it reaches no MLP
    return HiPConfig(
        num_groups=tuple(groups),
        **sizes,
        embedding_channels=embedding,
        project_positions=position not in (None, embedding),
        regroup="reshape" if flat else given.take("regroup_type", "reshape"),
        num_train_latents=given.take(f"{count}_train", None),
        num_eval_latents=given.take(f"{count}_eval", None),
        dropout_rate=_nothing(given, "dropout_prob"),
        drop_path_rate=_nothing(given, "drop_path_rate"),
    )


def _nothing(given, name):
    """A rate whose random numbers no other framework can draw again."""
    given.expect(name, 0.0)
    return 0.0


def _check_groups(options, model):
    """The file says which groups each modality got, by call of its grouper."""
    maps = options.take("group_maps", {})
    expected, start = [], 0
    for cut in model.grouping.cuts:
        groups = list(range(start, start + cut.num_groups))
        paddings = {"final_padding": cut.final_padding, "group_padding": cut.group_padding}
        expected.append({"modality": cut.name, "groups": groups, **paddings})
        start += cut.num_groups
    found = maps.pop("constant_number_grouper_map", None)
    assert found in (None, expected), f"groups {expected} instead of {found}"
    labels = list(getattr(model, "label_names", ()))
    for number, (key, value) in enumerate(maps.items()):
        known = key == f"constant_number_grouper_{number + 1}_map" and number < len(labels)
        if not known or [one["modality"] for one in value] != [labels[number]]:
            raise Unsupported(f"nothing here has the groups {key}: {value}.")


class _Forward:
    """A model step by step, so that what is inside can be compared too."""

    def __init__(self, model, base, vectors, train):
        self.model, self.base, self.train = model, base, train
        self.block_name = "perceiver_block" if base == "HiPClassBottleneck" else "block"
        self.found = {}
        drawn = "output/intermediate/subsample_0_indices"
        self.rows = None
        if drawn in vectors.expected:  # the same rows, or nothing could be compared
            self.found[drawn] = vectors.expected[drawn]
            self.rows = jnp.asarray(self.found[drawn]).reshape(-1, 1, model.config.processor_latents[0])
        elif train and len(set(model.config.processor_latents)) == 2:
            raise Unsupported(f"{vectors.name}: latents were drawn, but {drawn} is missing.")

    def run(self, given):
        """What is found, and what the model answers when it is called."""
        model = self.model
        embedded = model.embed({name: given[name] for name in model.names})
        queries = model.queries()
        self._keep_positions("position_encoder", embedded, queries)
        grouper = "concatenate_grouper" if model.grouping.mixed else "constant_number_grouper"
        inputs = self._keep_groups(grouper, embedded, queries, model.grouping)
        extra = self._labels(given)
        states = model.encode(inputs, extra=extra, rows=self.rows, train=self.train)
        latents = model.decode(states, train=self.train)
        answers = model.reconstruct(latents)
        if extra is not None:
            answers |= model.read_labels(states[-1])
            self._keep_label_head(states[-1])
        second = self.base == "HiPClassBottleneck"  # there the first head is that of the labels
        self._keep_head("reconstruction_head_1" if second else "reconstruction_head", latents)
        self._keep_blocks(inputs, extra)
        self.found |= {f"output/reconstruction/{name}": value for name, value in answers.items()}
        trimmed = as_trimmed(latents, model.grouping)
        self.found |= {f"output/latents/{name}": value for name, value in trimmed.items()}
        return self.found, {} if self.train else model(given)

    def _keep(self, name, value):
        self.found[f"output/intermediate/{name}"] = value

    def _keep_positions(self, encoder, embedded, queries):
        for name, value in embedded.items():
            self._keep(f"{encoder}_encoded_{name}", value)
            self._keep(f"{encoder}_query_{name}", queries[name])

    def _keep_groups(self, grouper, embedded, queries, grouping):
        batch = len(next(iter(embedded.values())))
        inputs = group(embedded, grouping)
        asked = group({name: rows[None] for name, rows in queries.items()}, grouping)
        self._keep(f"{grouper}_group_call0", inputs)
        self._keep(f"{grouper}_group_call1", jnp.broadcast_to(asked, (batch, *asked.shape[1:])))
        return inputs

    def _labels(self, given):
        if not getattr(self.model, "label_names", ()):
            return None
        embedded = self.model.embed_labels(given)
        for number, (place, name) in enumerate(places(self.model.label_names).items(), start=1):
            one, queries = {name: embedded[name]}, {name: self.model.label_positions[place]()}
            self._keep_positions(f"position_encoder_{number}", one, queries)
            alone = one_group({name: embedded[name].shape[1]})
            self._keep_groups(f"constant_number_grouper_{number}", one, queries, alone)
        return jnp.concatenate(list(embedded.values()), axis=1)[:, None]

    def _keep_blocks(self, inputs, extra):
        """The model's own blocks, one half after the other."""
        config, states, z = self.model.config, [], inputs
        for level, block in enumerate(self.model.blocks):
            z = regroup(z, config.num_groups[level], config.regroup) if level else z
            is_processor = level == config.processor
            z = jnp.concatenate([z, extra], axis=2) if is_processor and extra is not None else z
            skip = states[config.num_levels - 1 - level] if level > config.processor else None
            z = block.read_inputs(z, skip=skip, rows=self.rows if is_processor else None)
            name = f"{self.block_name}_{level}"
            self._keep(f"{name}_after_cross_attend", z)
            for number in range(block.stack.num_layers):
                z = block.stack.layer(number)(z.reshape(-1, *z.shape[2:])).reshape(z.shape)
                self._keep(f"{name}_after_self_attend_id_{number}", z)
            self._keep(name, z)
            states.append(z)

    def _keep_head(self, name, latents):
        model = self.model
        asked = group({name: rows[None] for name, rows in model.queries().items()}, model.grouping)
        self._keep(f"{name}_call0", model.head(jnp.broadcast_to(asked, (len(latents), *asked.shape[1:])), latents))

    def _keep_label_head(self, processed):
        for number, place in enumerate(places(self.model.label_names)):
            queries = self.model.label_positions[place]()
            asked = jnp.broadcast_to(queries[None, None], (len(processed), 1, *queries.shape))
            self._keep(f"reconstruction_head_call{number}", self.model.label_head(asked, processed))


def as_trimmed(latents, grouping):
    """The last block's latents as the release returns them: cut by the paddings of the inputs, odd as that is."""
    found, start = {}, 0
    for cut in grouping.cuts:
        if grouping.mixed:
            found[cut.name] = latents[:, 0, start : start + cut.size]
            start += cut.size
            continue
        part = latents[:, start : start + cut.num_groups]
        part = part[:, :, : part.shape[2] - cut.group_padding]
        rows = part.reshape(part.shape[0], -1, part.shape[-1])
        found[cut.name] = rows[:, : rows.shape[1] - cut.final_padding]
        start += cut.num_groups
    return found


def _masked_errors(vectors, computed):
    """The squared errors of masked inputs, where the file has their masks and targets."""
    given, found = vectors.inputs, {}
    for name in [key.removeprefix("mask/") for key in given if key.startswith("mask/")]:
        target = given[f"target/{name}"]
        mask = given[f"mask/{name}"].reshape(target.shape[:2]) != 0
        zero = (given[name] == 0).all(axis=-1)
        # Which value means hidden the file does not say; what is hidden is zero.
        hidden = mask if bool(zero[mask].all()) else ~mask
        output = jnp.asarray(computed[f"output/reconstruction/{name}"])
        _, parts = masked_loss({name: output}, {name: target}, {name: hidden})
        found[f"output/own_mse_masked/{name}"] = parts[f"{name}_hidden"]
        found[f"output/own_mse_all/{name}"] = parts[f"{name}_all"]
    return found


_BASES = {
    "HiP": _model,
    "HiPClassBottleneck": _model,
    "HiPCrossAttention": _cross_attention,
    "PerceiverIO": _model,
    "regroup": _regroup,
}
