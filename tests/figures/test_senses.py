"""Pictures of sound and of several senses, and sounds to be heard."""

import base64
import io
import re
import wave

import numpy as np
import pytest

from perceiver_lab import figures

RATE = 800
RNG = np.random.default_rng(0)
SOUND = (0.5 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE) * np.linspace(0, 1, RATE)).astype(np.float32)[:, None]
MEL = np.tile(np.array([0.0, 1.0, 3.0, 2.0]), (20, 1))
WEIGHTS = np.eye(3, 20, k=5) + 0.01
VIDEO = RNG.uniform(-1, 1, (4, 6, 6, 1)).astype(np.float32)

MAKERS = {
    "senses_diagram": lambda: figures.senses_diagram({"label": (1, 1), "sound": (100, 50)}, num_latents=7),
    "input_array": lambda: figures.input_array({"label": (1, 3, 0, 7), "sound": (40, 6, 2, 2)}),
    "sound_pictures": lambda: figures.sound_pictures({"hum": SOUND, "again": SOUND}, [MEL, MEL], rate=RATE),
    "attention_on_sound": lambda: figures.attention_on_sound(
        SOUND, MEL, on_waveform=WEIGHTS, on_mel=WEIGHTS[:, ::-1], rate=RATE
    ),
    "videos_and_sounds": lambda: figures.videos_and_sounds(
        {"given": (VIDEO, SOUND), "deaf": (VIDEO, None), "blind": (None, SOUND)}, rate=RATE
    ),
    "silent videos": lambda: figures.videos_and_sounds({"given": (VIDEO, None), "made": (VIDEO, None)}, rate=RATE),
    "share_curves": lambda: figures.share_curves(
        [0.0, 0.5, 1.0], {"seen": [1.0, 0.5, 0.1]}, xlabel="volume", ylabel="share"
    ),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_same_bytes_and_a_description(make):
    assert make().webp() == make().webp()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("senses_diagram", "7 latents read once"),
        ("senses_diagram", "sound: 100 read, 50 asked for"),
        ("input_array", "10 channels wide"),
        ("input_array", "sound: 40 rows of 6 values, 2 positions, 2 padding"),
        ("sound_pictures", "hum: loudest after 1.00 s"),
        ("attention_on_sound", "where 3 latents look. waveform: the latents shown peak after 0.28, 0.33, 0.38 s"),
        ("videos_and_sounds", "given; deaf (no sound); blind (no video)"),
        ("silent videos", "Videos frame by frame: given; made."),
        ("share_curves", "seen from 100% to 10%"),
    ],
)
def test_descriptions_say_what_is_to_be_seen(name, words):
    assert words in MAKERS[name]().alt


def test_the_loudest_band_is_named_by_its_peak():
    """Band 2 of 4 up to 400 Hz peaks at three fifths of the way in mel."""
    from perceiver_lab.ops import mel

    expected = 700 * (10 ** (0.6 * mel(RATE / 2) / 2595) - 1)
    assert f"loudest band around {expected:.0f} Hz" in MAKERS["sound_pictures"]().alt


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: figures.senses_diagram({}), "one to 4 modalities; got 0"),
        (lambda: figures.senses_diagram(dict.fromkeys("abcde", (1, 1))), "one to 4 modalities; got 5"),
        (lambda: figures.input_array({}), r"one width; these modalities have \[\]"),
        (lambda: figures.input_array({"a": (1, 1, 1, 1), "b": (1, 1, 1, 2)}), r"have \[3, 4\]"),
        (lambda: figures.sound_pictures({}, [], rate=RATE), "at least one sound.*got 0 and 0"),
        (lambda: figures.sound_pictures({"a": SOUND}, [], rate=RATE), "got 1 and 0"),
        (lambda: figures.videos_and_sounds({}, rate=RATE), "nothing to show"),
        (lambda: figures.share_curves([0, 1], {"a": [1.0]}, xlabel="x", ylabel="y"), "one share for each of 2 levels"),
        (lambda: figures.share_curves([0, 1], {}, xlabel="x", ylabel="y"), "one share for each of 2 levels"),
        (lambda: figures.Players({}, rate=RATE), r"got shapes \{\}"),
        (lambda: figures.Players({"a": np.zeros((3, 2), np.float32)}, rate=RATE), r"got shapes \{'a': \(3, 2\)\}"),
        (lambda: figures.Players({"a": np.zeros(0, np.float32)}, rate=RATE), r"'a': \(0,\)"),
    ],
)
def test_what_cannot_be_shown_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_players_play_what_they_are_given():
    loud = np.array([0.0, 0.5, -0.25, 3.0], np.float32)
    players = figures.Players({"a & b": loud, "hum": SOUND}, rate=RATE)
    assert repr(players) == "Sounds: a & b; hum."
    page = players._repr_html_()
    assert page.count("<audio controls") == 2 and 'aria-label="a &amp; b"' in page and "\n" not in page
    first = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    with wave.open(io.BytesIO(first)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, 4)
        samples = np.frombuffer(file.readframes(4), "<i2")
    np.testing.assert_allclose(samples / 32767, [0, 0.5, -0.25, 1], atol=1 / 32767)
