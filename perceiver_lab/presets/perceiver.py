"""The configurations of the Perceiver paper (Jaegle et al. 2021, 2103.03206).

The paper's text gives the sizes of the ImageNet models in full; the parameter counts of its Tables 6 and 7 follow from
them. For AudioSet it leaves some open: what was chosen here is said where it is. The shapes of AudioSet's inputs and
the number of points of ModelNet40 have not been checked against the paper's text; check them before you quote them.
"""

from flax import nnx

from perceiver_lab.adapters import (
    AudioPatches,
    ClassOutput,
    Convolutions,
    GridInput,
    ImageInput,
    MultimodalInput,
    Patches,
    Pixels,
    PointInput,
)
from perceiver_lab.layers import FourierPositions
from perceiver_lab.models import Perceiver, PerceiverConfig

IMAGE = (224, 224, 3)
VIDEO = (32, 224, 224, 3)  # frames, 1.28 s at 25 per second
NUM_SAMPLES = 61_440  # 1.28 s at 48 kHz
MEL = (75, 64, 1)  # frames, bands; only their product, 4,800, is meant to be the paper's


def imagenet_fourier(*, rngs: nnx.Rngs) -> Perceiver:
    """ImageNet from 50,176 pixels with Fourier features: 78.0 % top-1, 44.9M parameters, 707 GFLOPs.

    Section 4.1, Tables 1 and 7: 512 latents of 1024, 8 reads with 1 head, 6 latent layers after each; the reads from
    the second on share weights, and so do all 8 blocks. The 8 heads of the latent layers are those of the release.
    """
    return _imagenet(ImageInput(IMAGE, num_bands=64), rngs=rngs, num_reads=8)


def imagenet_fourier_unshared(*, rngs: nnx.Rngs) -> Perceiver:
    """The same without weight sharing: 72.9 % top-1, 326.2M parameters, 707 GFLOPs. It overfits (Table 7)."""
    return _imagenet(ImageInput(IMAGE, num_bands=64), rngs=rngs, num_reads=8, share_weights=False)


def imagenet_fourier_single_read(*, rngs: nnx.Rngs) -> Perceiver:
    """The same with one read: 76.7 % top-1, 42.1M parameters, 404 GFLOPs (Table 6).

    It is also the form of the code released with Perceiver IO, with the projection decoder: 42,135,859 parameters.
    """
    return _imagenet(ImageInput(IMAGE, num_bands=64), rngs=rngs)


def imagenet_learned(*, rngs: nnx.Rngs) -> Perceiver:
    """ImageNet with learned positions of 128 channels, nothing said about the image's two axes: 70.9 % top-1.

    Section 4.1 and Table 2. One read: with eight, training was unstable.
    """
    return _imagenet(ImageInput(IMAGE, position_channels=128, rngs=rngs), rngs=rngs)


def imagenet_conv(*, rngs: nnx.Rngs) -> Perceiver:
    """ImageNet through a convolution and a max-pool: 77.4 % top-1 (2107.14795, Table 7, row of the Perceiver).

    The preprocessing of Perceiver IO's convolutional model, 64 channels on 56 x 56 cells; one read.
    """
    features = Convolutions(IMAGE, channels=64, rngs=rngs)
    return _imagenet(GridInput(features, FourierPositions(features.grid, num_bands=64)), rngs=rngs)


def audioset_raw(*, rngs: nnx.Rngs) -> Perceiver:
    """AudioSet from raw sound: 38.3 mAP (section 4.2, Table 3). 480 inputs of 128 samples each.

    Sizes: see `audioset_mel_video`.
    """
    return _audioset(_raw_sound(), rngs=rngs)


def audioset_mel(*, rngs: nnx.Rngs) -> Perceiver:
    """AudioSet from a mel spectrogram: 38.4 mAP (section 4.2, Table 3). 4,800 inputs.

    Sizes: see `audioset_mel_video`.
    """
    return _audioset(_mel_spectrogram(), rngs=rngs)


def audioset_video(*, rngs: nnx.Rngs) -> Perceiver:
    """AudioSet from video alone: 25.8 mAP (section 4.2, Table 3). 12,544 patches of 2 frames and 8 x 8 pixels.

    Sizes: see `audioset_mel_video`.
    """
    return _audioset(_video(), rngs=rngs)


def audioset_raw_video(*, rngs: nnx.Rngs) -> Perceiver:
    """AudioSet from raw sound and video, with video dropout: 43.5 mAP (section 4.2, Table 3).

    Sizes: see `audioset_mel_video`.
    """
    return _audioset(audioset_inputs("raw", rngs=rngs), rngs=rngs)


def audioset_mel_video(*, rngs: nnx.Rngs) -> Perceiver:
    """AudioSet from a mel spectrogram and video, with video dropout: 43.2 mAP, 44.2 tuned later (Table 3).

    Section 4.2: in training, an example loses its video with a chance of 30 %. Each modality gets a learned encoding,
    4 channels for the video and as many for the sound as make the widths equal.

    The papers give latents of 512 channels and 21M parameters for this model (2107.14795, Table 10), but neither the
    number of latents, nor the depth, nor the bands. Here they are 512 latents, one read, 12 latent layers and 32 bands
    per axis: 21.3M parameters.
    """
    return _audioset(audioset_inputs("mel", rngs=rngs), rngs=rngs)


def modelnet40(*, rngs: nnx.Rngs) -> Perceiver:
    """ModelNet40 from about 2,000 points: 85.7 % top-1 (section 4.3, Table 4).

    2 reads, 6 latent layers after each; 64 bands up to a frequency of 1120, ten times that of ImageNet, because points
    lie closer to each other than pixels. All else as for ImageNet.
    """
    adapter = PointInput(3, num_bands=64, max_resolution=(2240,) * 3)
    return _classifier(adapter, 40, rngs=rngs, num_reads=2, num_blocks=2)


def _imagenet(adapter, *, rngs, num_reads=1, share_weights=True):
    return _classifier(adapter, 1000, rngs=rngs, num_reads=num_reads, num_blocks=8, share_weights=share_weights)


def _audioset(adapter, *, rngs):
    return _classifier(adapter, 527, rngs=rngs, latent_channels=512, num_self_attends_per_block=12)


def _classifier(adapter: nnx.Module, num_classes: int, *, rngs: nnx.Rngs, **sizes) -> Perceiver:
    config = PerceiverConfig(**{"num_latents": 512, "latent_channels": 1024, **sizes})
    output = ClassOutput(config.latent_channels, num_classes, rngs=rngs)
    return Perceiver(config, input_adapter=adapter, output_adapter=output, rngs=rngs)


def _raw_sound() -> GridInput:
    features = AudioPatches(NUM_SAMPLES, samples_per_patch=128)
    return GridInput(features, FourierPositions(features.grid, num_bands=32))


def _mel_spectrogram() -> GridInput:
    return GridInput(Pixels(MEL), FourierPositions(MEL[:2], num_bands=32))


def _video() -> GridInput:
    features = Patches(VIDEO, factor=8, time_factor=2)
    return GridInput(features, FourierPositions(features.grid, num_bands=32))


def audioset_inputs(sound: str, *, rngs: nnx.Rngs) -> MultimodalInput:
    """AudioSet's video with "raw" sound or its "mel" spectrogram, as the models with both read them."""
    return _with_video({"raw": _raw_sound, "mel": _mel_spectrogram}[sound](), rngs=rngs)


def _with_video(sound: GridInput, *, rngs: nnx.Rngs) -> MultimodalInput:
    modalities = {"audio": sound, "video": _video()}
    return MultimodalInput(modalities, min_padding_size=4, drop_rates={"video": 0.3}, rngs=rngs)


IMAGENET = (imagenet_fourier, imagenet_fourier_unshared, imagenet_fourier_single_read, imagenet_learned, imagenet_conv)
AUDIOSET = (audioset_raw, audioset_mel, audioset_video, audioset_raw_video, audioset_mel_video)
MODELNET = (modelnet40,)
