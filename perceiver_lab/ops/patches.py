"""Pixels regrouped: blocks into channels and back, and overlapping patches."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def space_to_depth(x: Float[Array, "..."], factor: int, time_factor: int = 1) -> Float[Array, "..."]:
    """Move blocks of pixels into the channels: (B, H, W, C) -> (B, H/f, W/f, f*f*C).

    Within the new channel axis the order is (time, row, column, channel), the channel fastest.

    Args:
      x: (B, H, W, C) or (B, T, H, W, C).
      factor: block side in pixels.
      time_factor: block length in frames; (B, T, H, W, C) only. If one frame remains, the time axis is dropped.

    Raises:
      ValueError: another rank, or sides that are no multiples of the block's.
    """
    _check_block(factor, time_factor)
    if x.ndim == 4 and time_factor == 1:
        return space_to_depth(x[:, None], factor)
    if x.ndim != 5:
        raise ValueError(
            f"space_to_depth wants images (B, H, W, C) or, with a time_factor, videos (B, T, H, W, C); got {x.shape}."
        )
    b, t, h, w, c = x.shape
    if t % time_factor or h % factor or w % factor:
        raise ValueError(
            f"Blocks of {time_factor} frames and {factor} x {factor} pixels do not divide {t} frames of {h} x {w}. "
            "Crop or pad the input to a multiple."
        )
    x = x.reshape(b, t // time_factor, time_factor, h // factor, factor, w // factor, factor, c)
    x = x.transpose(0, 1, 3, 5, 2, 4, 6, 7)
    x = x.reshape(*x.shape[:4], -1)
    return x[:, 0] if x.shape[1] == 1 else x


def depth_to_space(x: Float[Array, "..."], factor: int, time_factor: int = 1) -> Float[Array, "..."]:
    """The inverse of `space_to_depth`: (B, H, W, f*f*C) -> (B, f*H, f*W, C), and the same for videos.

    Raises:
      ValueError: another rank, or channels that are no multiple of the block's cells.
    """
    _check_block(factor, time_factor)
    cells = time_factor * factor * factor
    if x.ndim not in (4, 5) or x.shape[-1] % cells:
        raise ValueError(
            f"depth_to_space wants (B, H, W, channels) or (B, T, H, W, channels) with channels a multiple of {cells} "
            f"(time_factor * factor * factor); got {x.shape}."
        )
    if x.ndim == 4:
        x = x[:, None]
    b, t, h, w, _ = x.shape
    x = x.reshape(b, t, h, w, time_factor, factor, factor, -1)
    x = x.transpose(0, 1, 4, 2, 5, 3, 6, 7)
    x = x.reshape(b, t * time_factor, h * factor, w * factor, -1)
    return x[:, 0] if x.shape[1] == 1 else x


def extract_patches(
    x: Float[Array, "b h w c"],
    sizes: tuple[int, int],
    *,
    strides: tuple[int, int] = (1, 1),
    rates: tuple[int, int] = (1, 1),
    padding: str = "SAME",
) -> Float[Array, "b rows columns features"]:
    """Overlapping patches of an image, each flattened in the order (row, column, channel).

    With sizes (3, 3) this is the neighbourhood that the optical-flow model reads (2107.14795, section 4.2).

    Args:
      x: images.
      sizes: rows and columns of a patch.
      strides: steps from one patch to the next.
      rates: distances between neighbouring pixels of a patch (dilation).
      padding: "VALID", or "SAME": zeros around the image, the odd one at its end.

    Raises:
      ValueError: another padding, patches larger than the image, or a size, stride or rate below 1.
    """
    if min(*sizes, *strides, *rates) < 1:
        raise ValueError(f"sizes={sizes}, strides={strides} and rates={rates} must all be at least 1.")
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"padding={padding!r} is unknown; choose 'SAME' or 'VALID'.")
    spans = [(size - 1) * rate + 1 for size, rate in zip(sizes, rates, strict=True)]
    if padding == "SAME":
        totals = [
            max((-(-n // stride) - 1) * stride + span - n, 0)
            for n, stride, span in zip(x.shape[1:3], strides, spans, strict=True)
        ]
        x = jnp.pad(x, ((0, 0), *[(total // 2, total - total // 2) for total in totals], (0, 0)))
    rows, columns = (n - span for n, span in zip(x.shape[1:3], spans, strict=True))
    if rows < 0 or columns < 0:
        raise ValueError(f"Patches that span {tuple(spans)} pixels do not fit into an image of {x.shape[1:3]}.")
    shifted = [
        x[
            :,
            i * rates[0] : i * rates[0] + rows + 1 : strides[0],
            j * rates[1] : j * rates[1] + columns + 1 : strides[1],
        ]
        for i in range(sizes[0])
        for j in range(sizes[1])
    ]
    return jnp.concatenate(shifted, axis=-1)


def flow_patches(frames: Float[Array, "b t h w c"], size: int = 3) -> Float[Array, "b h w features"]:
    """The neighbourhood of every pixel in each frame, side by side: what optical flow is read from (2107.14795, H).

    Args:
      frames: two frames (B, 2, H, W, C), or any number of them.
      size: side of the neighbourhood, odd; beyond the border it holds zeros.

    Returns:
      (B, H, W, T * size * size * C) in the order (frame, row, column, channel): 54 for pairs of colour frames.

    Raises:
      ValueError: an even size, whose neighbourhood has no middle.
    """
    if size % 2 == 0:
        raise ValueError(f"size={size}: a neighbourhood has a pixel in its middle; choose an odd size.")
    b, t, h, w, c = frames.shape
    patches = extract_patches(frames.reshape(b * t, h, w, c), (size, size))
    return patches.reshape(b, t, h, w, -1).transpose(0, 2, 3, 1, 4).reshape(b, h, w, -1)


def _check_block(factor, time_factor):
    if factor < 1 or time_factor < 1:
        raise ValueError(f"A block of {time_factor} frames and {factor} x {factor} pixels holds nothing: at least 1.")
