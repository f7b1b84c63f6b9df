"""Optical flow: how wrong it is, and what needs no learning."""

from collections.abc import Iterable, Iterator

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from perceiver_lab.training.metrics import Z_95


def endpoint_error(flow: Float[np.ndarray, "*grid 2"], truth: Float[np.ndarray, "*grid 2"]) -> np.ndarray:
    """The distance in pixels between where each pixel was said to go and where it went (*grid)."""
    return np.sqrt(np.square(flow.astype(np.float64) - truth).sum(axis=-1))


def endpoint_loss(flow: Float[Array, "*grid 2"], truth: Float[Array, "*grid 2"]) -> Float[Array, ""]:
    """The mean end-point error, rounded off below 0.03 pixels, where its gradient would have no direction."""
    return jnp.mean(jnp.sqrt(jnp.sum(jnp.square(flow - truth), axis=-1) + 1e-3))


def flow_metrics(
    pairs: Iterable[tuple[np.ndarray, np.ndarray, Bool[np.ndarray, "..."], Bool[np.ndarray, "..."]]],
) -> dict[str, float | int]:
    """End-point errors over many pairs of frames.

    Args:
      pairs: batches of (flow, truth, shapes, visible): (B, H, W, 2) twice, and for each pixel whether it is of a shape
        that moves on its own, and whether it is still in sight in the second frame.

    Returns:
      All in pixels, over all pixels, occluded ones included, unless the name says otherwise: "endpoint_error" with
      "endpoint_error_low" and "endpoint_error_high" (95 %, from the spread between pairs), "shapes", "background",
      "visible", "visible_shapes"; the same of no flow at all as "zero", "zero_shapes"; the ratios "of_zero" and
      "shapes_of_zero"; "total", the number of pairs.

    Raises:
      ValueError: no pairs.
    """
    per_pair, sums, counts = [], {}, {}
    for flow, truth, shapes, visible in pairs:
        error, zero = endpoint_error(flow, truth), endpoint_error(np.zeros_like(truth), truth)
        per_pair.append(error.mean(axis=(1, 2)))
        parts = {"shapes": shapes, "background": ~shapes, "visible": visible, "visible_shapes": shapes & visible}
        chosen = {name: error[part] for name, part in parts.items()}
        chosen |= {"zero": zero, "zero_shapes": zero[shapes]}
        for name, values in chosen.items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
            counts[name] = counts.get(name, 0) + values.size
    if not per_pair:
        raise ValueError("There are no pairs to measure. An iterator that was used up gives none: make a new one.")
    per_pair = np.concatenate(per_pair)
    value = float(per_pair.mean())
    half = float(Z_95 * per_pair.std(ddof=1) / np.sqrt(len(per_pair))) if len(per_pair) > 1 else float("inf")
    means = {name: total / max(counts[name], 1) for name, total in sums.items()}
    return {
        "endpoint_error": value,
        "endpoint_error_low": value - half,
        "endpoint_error_high": value + half,
        **means,
        "of_zero": value / means["zero"],
        "shapes_of_zero": means["shapes"] / max(means["zero_shapes"], 1e-9),
        "total": len(per_pair),
    }


def best_constant(truth: Float[np.ndarray, "h w 2"], *, rounds: int = 60) -> Float[np.ndarray, "h w 2"]:
    """The one vector with the least mean end-point error, everywhere: an oracle that knows the truth.

    The geometric median, found by Weiszfeld's iteration from the mean.
    """
    points = truth.reshape(-1, 2).astype(np.float64)
    centre = points.mean(axis=0)
    for _ in range(rounds):
        weights = 1 / np.maximum(np.sqrt(np.square(points - centre).sum(axis=-1)), 1e-6)
        centre = (points * weights[:, None]).sum(axis=0) / weights.sum()
    return np.broadcast_to(centre.astype(np.float32), truth.shape)


def classical_flow(frames: Float[np.ndarray, "2 h w c"], method: str) -> Float[np.ndarray, "h w 2"]:
    """The flow that scikit-image finds between two frames, from their brightness and with its default settings.

    Args:
      frames: in [-1, 1], or on any other scale of that width.
      method: "tvl1" (Zach, Pock, Bischof 2007) or "ilk" (iterative Lucas-Kanade, Le Besnerais, Champagnat 2005).

    Raises:
      ValueError: another method.
    """
    from skimage import registration

    methods = {"tvl1": registration.optical_flow_tvl1, "ilk": registration.optical_flow_ilk}
    if method not in methods:
        raise ValueError(f"method={method!r} is unknown; choose one of {', '.join(methods)}.")
    first, second = frames.mean(axis=-1).astype(np.float64) / 2  # a range of 1, as scikit-image expects it
    down, right = methods[method](first, second)
    return np.stack([right, down], axis=-1).astype(np.float32)


def baseline_flows(batches: Iterable[dict], method: str) -> Iterator[tuple[np.ndarray, ...]]:
    """What `flow_metrics` measures, for a method that learns nothing: "zero", "constant", "tvl1" or "ilk"."""
    for batch in batches:
        truth, frames = np.asarray(batch["flow"]), np.asarray(batch["frames"])
        if method == "zero":
            flow = np.zeros_like(truth)
        elif method == "constant":
            flow = np.stack([best_constant(one) for one in truth])
        else:
            flow = np.stack([classical_flow(one, method) for one in frames])
        yield flow, truth, *pixel_masks(batch)


def pixel_masks(batch: dict) -> tuple[np.ndarray, np.ndarray]:
    """Of a batch with "layers" and "occluded": which pixels are of a shape, and which stay in sight."""
    return np.asarray(batch["layers"]) > 0, np.asarray(batch["occluded"]) == 0
