"""How long the explorers' answers take in Python, in milliseconds, asked for as the front ends do."""

import time

import numpy as np
from workers.explorers import SCENE, SIDE

from perceiver_lab.datasets import chorales
from perceiver_lab.explorers.stepper import CODE
from perceiver_lab.ops.sequences import NUM_SPECIAL_TOKENS


def milliseconds(call):
    """Of one call."""
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


def attention_times(explorer, repeats):
    """Answers by class; the first of each kind compiles and is not counted."""
    rng = np.random.default_rng(1)
    latents = explorer.facts["latent_ids"]
    here = {"example": 0, "layer": "read 0", "head": -1}

    def tile():
        explorer.answer({"what": "tile", "latent": int(rng.choice(latents)), **here})

    def column():
        explorer.answer({"what": "column", "pixel": int(rng.integers(SIDE**2)), **here})

    def off():
        off = rng.choice(latents, size=len(latents) // 4, replace=False)
        explorer.answer({"what": "predict", "example": 0, "off": [int(i) for i in off]})

    def read(example):
        explorer.answer({"what": "tile", "latent": 0, **here, "example": example})
        explorer.answer({"what": "predict", "example": example, "off": []})

    found = {"latents": {}, "read": {}}
    for call in (tile, column, off):
        call()
        found["latents"][call.__name__] = [milliseconds(call) for _ in range(repeats)]
    # Two examples are kept: going round through eight reads each anew.
    found["read"]["read"] = [milliseconds(lambda n=n: read(n % 8)) for n in range(2, 2 + repeats)]
    return found


def playground_times(playground, repeats):
    """Answers by class: a point, a window and a blend need the latents; another picture is read first."""
    rng = np.random.default_rng(3)
    count, task = len(playground.facts["examples"]), ("colour", "mask")

    def place():
        return [float(v) for v in rng.uniform(0, SCENE - 1, 2)]

    def point(example=0):
        playground.answer({"what": "point", "example": example, "point": place()})

    def window(example=0):
        ask = {"what": "window", "task": str(rng.choice(task)), "center": place(), "zoom": 4}
        playground.answer({**ask, "example": example})

    def blend():
        ask = {"what": "blend", "first": ["colour", *place()], "second": ["colour", *place()]}
        playground.answer({**ask, "example": 0})

    def picture(example):
        point(example)
        window(example)

    found = {"latents": {}, "read": {}}
    for call in (point, window, blend):
        call()
        found["latents"][call.__name__] = [milliseconds(call) for _ in range(repeats)]
    found["read"]["picture"] = [milliseconds(lambda n=n: picture(n % count)) for n in range(1, 1 + repeats)]
    return found


def painter_times(painter, repeats):
    """Every painting is a new read of all bytes."""
    rng = np.random.default_rng(5)
    [text, *_] = painter.facts["texts"]

    def fill():
        hidden = sorted(int(i) for i in rng.choice(len(text), len(text) // 7, replace=False))
        painter.answer({"what": "fill", "text": text, "hidden": hidden})

    fill()
    return {"latents": {}, "read": {"fill": [milliseconds(fill) for _ in range(repeats)]}}


def mixer_times(mixer, repeats):
    """Every mix is read and answered whole: label, all samples, all pixels."""
    rng = np.random.default_rng(6)
    levels = [[int(i) for i in rng.choice(mixer.facts["noises"], 2)] for _ in range(repeats)]

    def mix(video, sound):
        mixer.answer({"what": "mix", "video": [3, 100, video], "sound": [8, 100, sound]})
        mixer.answer({"what": "clip", "sense": "video", "channel": [3, 100, video]})

    return {"latents": {}, "read": {"mix": [milliseconds(lambda pair=pair: mix(*pair)) for pair in levels]}}


def stepper_times(stepper, repeats):
    """A token more needs what the cache holds; behind a note that was changed, everything is read again.

    Both with all that is shown then: what may come next, and where the model looks.
    """
    rng = np.random.default_rng(7)
    tokens = list(stepper.tokens)

    def show(text):
        for what in ("next", "looks"):
            stepper.answer({"what": what, "prompt": 0, "text": text})

    def step():
        settings = {"count": 1, "temperature": 1.0, "top_p": 1.0, "seed": 0}
        asked = {"what": "draw", "prompt": 0, "text": "".join(chr(CODE + one) for one in tokens), **settings}
        tokens.extend(stepper.answer(asked)[0]["tokens"])
        show(asked["text"])

    def edit():
        changed = list(stepper.tokens)
        for place in rng.choice(len(changed), 2, replace=False):  # among so many notes hardly twice the same two
            first = NUM_SPECIAL_TOKENS + chorales.VALUES * (place % len(chorales.VOICES)) + chorales.FIRST_PITCH
            changed[place] = int(rng.integers(first, first + chorales.VALUES - chorales.FIRST_PITCH))
        show("".join(chr(CODE + one) for one in changed))

    found = {}
    for kind, call in (("latents", step), ("read", edit)):
        call()
        call()  # the first token comes from the full pass of the prompt, the second from the cache
        found[kind] = {call.__name__: [milliseconds(call) for _ in range(repeats)]}
    return found
