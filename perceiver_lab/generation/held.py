"""What the cache of `generate` holds at each step, and what a changed token spoils (2202.07765, appendix E.3)."""

from typing import NamedTuple


class Held(NamedTuple):
    """What a cache holds.

    Attributes:
      num_events: inputs, the start token counted.
      first_latent: place of the oldest latent; the newest is made of the last input.
      since: latents made one by one since the last full pass.
    """

    num_events: int
    first_latent: int
    since: int

    @property
    def num_latents(self) -> int:
        """How many latents there are."""
        return self.num_events - self.first_latent

    def to_redo(self, place: int) -> tuple[int, int]:
        """How many entries must be computed anew if the event at a place becomes another: of inputs, of latents.

        Keys and values of an input depend on its token and its place alone, so one entry is enough. A latent depends
        on all that it has read: those at later places are spoiled, and its own.
        """
        return 1, self.num_events - max(place, self.first_latent)


def held_after(num_tokens: int, given: int, *, num_latents: int, refill_to: int) -> Held:
    """What the cache holds when `generate` says what comes after so many tokens.

    Args:
      num_tokens: behind the start token.
      given: how many of them are the prompt.
      num_latents: N, for which the model was made.
      refill_to: R, of a full pass, from 1 to N.

    Raises:
      ValueError: R outside of 1..N, or a number of tokens below 0.
    """
    if not 1 <= refill_to <= num_latents or min(num_tokens, given) < 0:
        raise ValueError(
            f"refill_to={refill_to} must be from 1 to num_latents={num_latents}, and num_tokens={num_tokens} and "
            f"given={given} at least 0."
        )
    num_events = num_tokens + 1
    since = max(num_tokens - given, 0) % (num_latents - refill_to + 1)
    return Held(num_events, max(num_events - since - refill_to, 0), since)
