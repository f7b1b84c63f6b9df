"""Perceiver IO beyond classification, as it was released (2107.14795): language, optical flow, auto-encoding.

And AudioSet, which was not released: some of its sizes are not in the paper, what was chosen here is said where it is.
"""

from flax import nnx

from perceiver_lab.adapters import (
    AudioOutput,
    AudioPatches,
    ByteInput,
    ByteOutput,
    FlowOutput,
    FlowPatches,
    GridInput,
    InputQueries,
    LinearOutput,
    Modality,
    MultimodalInput,
    OneHotInput,
    OnlyQuery,
    Patches,
    PositionQueries,
    multimodal_adapters,
)
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.presets.perceiver import audioset_inputs

LENGTH = 2048  # bytes
FRAMES = (2, 368, 496, 3)
VIDEO = (16, 224, 224, 3)  # frames, at 25 per second
NUM_SAMPLES = 30_720  # at 48 kHz


def mlm_bytes_io(*, rngs: nnx.Rngs) -> PerceiverIO:
    """Masked language modelling on bytes: 80.95 GLUE average after fine-tuning, 201,108,230 parameters (Tables 1, 15).

    Section 4.1: 2,048 bytes of a vocabulary of 262, 256 latents of 1280, 26 layers, 113 GFLOPs. Queries and keys of 256
    channels in 8 heads; a learned query per byte, whose output is compared with the input embedding.
    """
    inputs = ByteInput(768, LENGTH, rngs=rngs)
    config = PerceiverConfig(
        num_latents=256, latent_channels=1280, num_self_attends_per_block=26, num_cross_heads=8, qk_channels=256,
        v_channels=1280,
    )  # fmt: skip
    queries = PositionQueries(LearnedPositions((LENGTH,), 768, rngs=rngs))
    decoder = Decoder(queries, 1280, output_channels=None, num_heads=8, qk_channels=256, v_channels=768, rngs=rngs)
    return PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=ByteOutput(), rngs=rngs)


def optical_flow_io(*, rngs: nnx.Rngs) -> PerceiverIO:
    """Optical flow between two frames of 368 x 496: 1.81 / 2.42 end-point error on Sintel clean / final (Table 3).

    41,057,134 parameters (the paper's text says 27.9M). Section 4.2 and appendix H: the 3 x 3 neighbourhood of every
    pixel in both frames, 54 values, to 64 channels beside 258 of Fourier features; 2048 latents of 512, 24 layers of 16
    heads; the queries are the inputs. Pixels are to be scaled to [-1, 1]. Larger pictures are cut into tiles.
    """
    features = FlowPatches(FRAMES, channels=64, rngs=rngs)
    inputs = GridInput(features, FourierPositions(features.grid, num_bands=64))
    config = PerceiverConfig(num_latents=2048, latent_channels=512, num_self_attends_per_block=24, num_self_heads=16)
    decoder = Decoder(InputQueries(inputs.num_channels), 512, output_channels=2, zero_output=True, rngs=rngs)
    output = FlowOutput(features.grid, divide_by=100.0, multiply_by=20.0)
    return PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=output, rngs=rngs)


def multimodal_io(*, rngs: nnx.Rngs) -> PerceiverIO:
    """Auto-encoding of Kinetics-700-2020, video, sound and label: 19,858,855 parameters (Table 4, 784 latents).

    Section 4.3: 16 frames of 224 x 224, 30,720 samples and the label, which is hidden behind its mask token; 784
    latents of 512, 8 layers: 24.37 dB video, 26.97 dB audio, 10.2 % top-1. Decoded in 128 chunks of 6,272 pixels and 15
    stretches of sound: `decode_in_chunks(latents, num_chunks=128)`. Selected cells have the release's coordinates.
    """
    inputs, queries, output = multimodal_adapters(_kinetics(rngs), input_padding=4, rngs=rngs)
    config = PerceiverConfig(num_latents=784, latent_channels=512, num_self_attends_per_block=8)
    decoder = Decoder(queries, 512, output_channels=512, rngs=rngs)
    return PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=output, rngs=rngs)


def audioset_raw_video_io(*, rngs: nnx.Rngs) -> PerceiverIO:
    """AudioSet from raw sound and video: 43.3 mAP (Table 10). Sizes: see `audioset_mel_video_io`."""
    return _audioset("raw", rngs=rngs)


def audioset_mel_video_io(*, rngs: nnx.Rngs) -> PerceiverIO:
    """AudioSet from a mel spectrogram and video: 44.9 mAP (Table 10).

    The paper gives latents of 1024 channels and 88.2M parameters, not the other sizes, and no weights were released:
    unverified here are 512 latents, one read, 12 latent layers, and the inputs, which are those of this library's
    Perceiver for AudioSet; together they have 87.0M. One learned query of 1024 channels asks for the 527 logits.
    """
    return _audioset("mel", rngs=rngs)


def _kinetics(rngs) -> list[Modality]:
    sound, video = AudioPatches(NUM_SAMPLES, samples_per_patch=16), Patches(VIDEO, factor=4)
    heard, asked = (FourierPositions(sound.grid, num_bands=192, max_resolution=(NUM_SAMPLES,)) for _ in range(2))
    seen = FourierPositions(video.grid, num_bands=32)
    # The frequencies of the inputs, but a query for every pixel.
    pixels = FourierPositions(VIDEO[:3], num_bands=32, max_resolution=video.grid)
    label = LearnedPositions((1,), 1024, rngs=rngs)
    # Every modality has a mask token, those that are never masked too.
    return [
        Modality(
            name="audio",
            input_adapter=GridInput(sound, heard),
            queries=PositionQueries(asked, subsampling="release"),
            output_adapter=AudioOutput(512, 16, rngs=rngs),
            mask_rate=0.0,
        ),
        Modality(
            name="image",
            input_adapter=GridInput(video, seen),
            queries=PositionQueries(pixels, subsampling="release"),
            output_adapter=LinearOutput(512, 3, grid=VIDEO[:3], rngs=rngs),
            mask_rate=0.0,
        ),
        Modality(
            name="label",
            input_adapter=OneHotInput(700),
            queries=PositionQueries(label, subsampling="release"),
            output_adapter=LinearOutput(512, 700, only_query=True, rngs=rngs),
            mask_rate=1.0,
        ),
    ]


def _audioset(sound: str, *, rngs: nnx.Rngs) -> PerceiverIO:
    inputs: MultimodalInput = audioset_inputs(sound, rngs=rngs)
    config = PerceiverConfig(num_latents=512, latent_channels=1024, num_self_attends_per_block=12)
    query = PositionQueries(LearnedPositions((1,), 1024, rngs=rngs))
    decoder = Decoder(query, 1024, output_channels=527, use_query_residual=True, rngs=rngs)
    return PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=OnlyQuery(), rngs=rngs)


TASKS_IO = (mlm_bytes_io, optical_flow_io, multimodal_io)
AUDIOSET_IO = (audioset_raw_video_io, audioset_mel_video_io)
