"""Several modalities as one input array."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Real

from perceiver_lab.layers import LearnedPositions


class MultimodalInput(nnx.Module):
    """Several modalities in one input array, each told apart by a learned padding (2103.03206, section 4.2).

    Every modality is widened to the same width by a learned vector after its channels; then the modalities follow each
    other in the alphabetical order of their names.
    """

    def __init__(
        self,
        modalities: Mapping[str, nnx.Module],
        *,
        min_padding_size: int = 2,
        drop_rates: Mapping[str, float] | None = None,
        mask_rates: Mapping[str, float] | None = None,
        rngs: nnx.Rngs,
    ):
        """Put adapters together.

        Args:
          modalities: name -> input adapter.
          min_padding_size: learned channels that the widest modality gets.
          drop_rates: name -> chance with which an example loses that modality altogether in training, so that the
            model cannot lean on it ("video dropout", 2103.03206, section 4.2).
          mask_rates: name -> chance with which an element is replaced by the modality's learned mask token, padding
            included, in training and in evaluation alike (2107.14795, section 4.3, hides the label with rate 1).
            If given, every modality has a token, those without a rate too.
          rngs: for paddings and tokens.

        Raises:
          ValueError: no modality, or a rate that is no probability or for a modality that is not there.
        """
        self.names = tuple(sorted(modalities))
        self.drop_rates = _rates("drop_rates", drop_rates, self.names)
        self.mask_rates = None if mask_rates is None else _rates("mask_rates", mask_rates, self.names)
        self.modalities = nnx.data({name: modalities[name] for name in self.names})
        self.num_channels = max(adapter.num_channels for adapter in modalities.values()) + min_padding_size
        widths = {name: self.num_channels - modalities[name].num_channels for name in self.names}
        self.paddings = nnx.data({name: LearnedPositions((1,), width, rngs=rngs) for name, width in widths.items()})
        masked = () if mask_rates is None else self.names
        self.mask_tokens = nnx.data({name: LearnedPositions((1,), self.num_channels, rngs=rngs) for name in masked})

    @property
    def embedding_table(self) -> dict[str, Float[Array, "_ _"]]:
        """The embeddings of the modalities that have one, for the outputs that compare with them."""
        parts = {name: self.modalities[name] for name in self.names}
        return {name: part.embedding_table for name, part in parts.items() if hasattr(part, "embedding_table")}

    def __call__(
        self,
        x: Mapping[str, Real[Array, "..."]],
        *,
        positions: None = None,
        hidden: Mapping[str, Bool[Array, " b"]] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b m c"]:
        """Inputs of all modalities, one after the other.

        With mask tokens (`mask_rates`), a modality may be left out: it is then hidden in every example, its token in
        the place of each of its elements. A model that was trained with hidden modalities knows what that means.

        Args:
          x: name -> raw batch.
          positions: stays empty.
          hidden: name -> True where an example's whole modality is hidden behind its mask token.
          train: passed on to the modalities' adapters.
          rngs: stream "mask", where a mask rate lies between 0 and 1.

        Raises:
          ValueError: a modality is unknown, or missing or hidden without mask tokens; all are missing; or there are no
            rngs where they are needed.
        """
        if positions is not None:
            raise ValueError("One set of positions cannot fit several modalities: leave `positions` out.")
        return jnp.concatenate(list(self.embed_each(x, hidden=hidden, train=train, rngs=rngs).values()), axis=1)

    def embed_each(
        self,
        x: Mapping[str, Real[Array, "..."]],
        *,
        hidden: Mapping[str, Bool[Array, " b"]] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Float[Array, "b m c"]]:
        """Each modality's padded and masked inputs, by name in order. Arguments as above."""
        rows = self._pad_each(x, train)
        self._check_hidden(hidden or {}, len(next(iter(rows.values()))))
        for name, behind in (hidden or {}).items():
            token = self.mask_tokens[name]()[None]
            rows[name] = jnp.where(behind[:, None, None], token, rows[name])
        if self.mask_rates is None:
            return rows
        return {
            name: self._mask(name, rate, rows[name], rngs)
            for name, rate in zip(self.names, self.mask_rates, strict=True)
        }

    def drop_mask(self, x: Mapping[str, Real[Array, "..."]], key: Array) -> Bool[Array, "b m"]:
        """Which inputs an example keeps: each modality is dropped at its rate, all of it or nothing."""
        rows = jax.eval_shape(lambda batch: self._pad_each(batch, False), dict(x))
        keys = jax.random.split(key, len(self.names))
        kept = [
            jnp.repeat(jax.random.bernoulli(one, 1 - rate, (shape.shape[0], 1)), shape.shape[1], axis=1)
            for one, rate, shape in zip(keys, self.drop_rates, rows.values(), strict=True)
        ]
        return jnp.concatenate(kept, axis=1)

    def _pad_each(self, x, train):
        missing = [name for name in self.names if name not in x]
        if set(x) - set(self.names) or not x or (missing and self.mask_rates is None):
            may = "none may be missing: it has no mask tokens (mask_rates) to take the place of what is"
            raise ValueError(
                f"This adapter reads the modalities {list(self.names)}; got {sorted(x)}. It knows no others, and "
                f"{may if self.mask_rates is None else 'not all may be missing'}."
            )
        batch = len(next(iter(x.values())))
        rows = {}
        for name in self.names:
            if name in missing:
                rows[name] = self._all_tokens(name, batch)
                continue
            inputs = self.modalities[name](x[name], train=train)
            padding = self.paddings[name]()[None]
            padding = jnp.broadcast_to(padding, (*inputs.shape[:2], padding.shape[-1]))
            rows[name] = jnp.concatenate([inputs, padding], axis=-1)
        return rows

    def _all_tokens(self, name, batch):
        if not hasattr(self.modalities[name], "num_elements"):
            raise ValueError(
                f"The modality {name!r} cannot be left out: its adapter, a {type(self.modalities[name]).__name__}, has "
                "no fixed number of elements (num_elements) for the mask token to stand in. Give it, and hide it with "
                "hidden=."
            )
        shape = (batch, self.modalities[name].num_elements, self.num_channels)
        return jnp.broadcast_to(self.mask_tokens[name]()[None], shape)

    def _check_hidden(self, hidden, batch):
        without = set(hidden) - (set() if self.mask_rates is None else set(self.names))
        shapes = {name: behind.shape for name, behind in hidden.items()}
        if without or any(shape != (batch,) for shape in shapes.values()):
            raise ValueError(
                f"hidden has {shapes}; expected arrays ({batch},) of booleans for modalities with a mask token, "
                f"{[] if self.mask_rates is None else list(self.names)}. Tokens are made with mask_rates=."
            )

    def _mask(self, name, rate, inputs, rngs):
        if rate == 0:
            return inputs
        token = jnp.broadcast_to(self.mask_tokens[name]()[None], inputs.shape)
        if rate == 1:
            return token
        if rngs is None:
            raise ValueError(
                f"The elements of {name!r} are masked at random, with rate {rate}: call the model with "
                "rngs=nnx.Rngs(mask=seed), in evaluation too."
            )
        hidden = jax.random.bernoulli(rngs.mask(), rate, inputs.shape[:2])
        return jnp.where(hidden[..., None], token, inputs)


def _rates(kind, rates, names):
    rates = dict(rates or {})
    if not names or set(rates) - set(names) or not all(0 <= rate <= 1 for rate in rates.values()):
        raise ValueError(
            f"modalities {list(names)} and {kind} {rates}: there must be at least one modality, and rates between 0 "
            "and 1 only for those that there are."
        )
    return tuple(rates.get(name, 0.0) for name in names)
