"""ResNets on grey images, freshly initialised or with weights that others trained."""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fkd.core.errors import UserError, one_line
from fkd.core.lean_keras import keras
from fkd.experiment.network import ResNet
from fkd.training.networks.head import add_head

_BACKBONE = "backbone"
_BASIC_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def build_resnet(network: ResNet, image_size_px: int, outputs: int, seeds: Iterator[int]) -> keras.Model:
    """A convolution from grey to three channels, a ResNet (He et al. 2016) named `backbone`, a head.

    The weights depend on the seeds alone; `load_resnet_weights` puts others in. Input (image_size_px,
    image_size_px, 1), output (outputs,). Raises UserError where the depth needs a missing package.
    """
    layers = keras.layers
    image = keras.Input((image_size_px, image_size_px, 1))
    initializer = keras.initializers.HeNormal(next(seeds))
    x = layers.Conv2D(3, network.colour_kernel, padding="same", kernel_initializer=initializer)(image)
    if network.colour_activation == "leaky_relu":
        x = layers.LeakyReLU(network.leaky_relu_slope)(x)
    with _seeded(next(seeds)):
        backbone = _build_backbone(network.depth, image_size_px)
    return keras.Model(image, add_head(backbone(x), network, outputs, seeds))


def load_resnet_weights(model: keras.Model, network: ResNet) -> None:
    """Put the weights that the settings name into the model's backbone; `none` leaves it as it is.

    Raises UserError where they cannot be downloaded, are missing, damaged, or of another network.
    """
    if network.weights == "none":
        return
    backbone = model.get_layer(_BACKBONE)
    path = Path(network.weights).expanduser()
    if network.weights == "imagenet":
        _copy_weights(_download(network.depth), backbone, network)
    elif path.is_dir():
        _copy_weights(_read_preset(path, network.depth), backbone, network)
    elif path.is_file():
        _read_file(path, backbone, network.depth)
    else:
        raise UserError(
            f"network.weights: expected imagenet, none, a weights file or a preset folder, received {path}, "
            "which does not exist; correct the path"
        )


def _build_backbone(depth: int, image_size_px: int) -> keras.Model:
    shape = (image_size_px, image_size_px, 3)
    if depth == 50:
        return keras.applications.ResNet50(include_top=False, weights=None, input_shape=shape, name=_BACKBONE)
    return _keras_hub(depth).models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=list(_BASIC_BLOCKS[depth]),
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=shape,
        name=_BACKBONE,
    )


def _keras_hub(depth: int) -> Any:
    try:
        import keras_hub  # an extra: only these depths need it
    except ImportError as error:
        raise UserError(
            f"network.depth: {depth} needs the package keras-hub ({_shortened(error)}); "
            "run `make resnet`, or use depth: 50"
        ) from error
    return keras_hub


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed what Keras' unseeded initialisers draw from, and put Python's and NumPy's generators back."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _download(depth: int) -> keras.Model:
    """Keras' own ImageNet weights, from its cache where they are there already."""
    if depth == 34:
        raise UserError(
            "network.weights: keras-hub has no ImageNet weights of a plain ResNet34; give the path of a "
            "weights file or of a preset folder, set weights: none, or use depth: 18 or 50"
        )
    hub = _keras_hub(depth) if depth == 18 else None
    with _one_line(
        f"the ImageNet weights of the ResNet{depth} cannot be obtained",
        "give the path of a local weights file, of a local preset folder (depths 18 and 34), or none",
    ):
        if hub:
            return hub.models.ResNetBackbone.from_preset("resnet_18_imagenet")
        return keras.applications.ResNet50(weights="imagenet", include_top=False)


def _read_preset(folder: Path, depth: int) -> keras.Model:
    hub = _keras_hub(depth)
    with _one_line(
        f"{folder}: expected a Keras preset of a ResNet{depth}",
        "give a folder that `save_to_preset` wrote, or set weights: none",
    ):
        # The whole path, for keras-hub takes a bare name for one of its own presets.
        return hub.models.ResNetBackbone.from_preset(str(folder.resolve()))


def _read_file(path: Path, backbone: keras.Model, depth: int) -> None:
    with _one_line(
        f"{path}: expected the weights of a ResNet{depth} without its top, in a file *.weights.h5 or *.h5",
        "give another file, or set weights: none",
    ):
        backbone.load_weights(path)


def _copy_weights(source: keras.Model, target: keras.Model, network: ResNet) -> None:
    received, expected = ([weight.shape for weight in model.weights] for model in (source, target))
    if received != expected:
        raise UserError(
            f"network.weights: {network.weights}: expected a ResNet{network.depth} with "
            f"{target.count_params():,} weights, received another network with {source.count_params():,}; "
            "give the depth that fits, or set weights: none"
        )
    target.set_weights(source.get_weights())


@contextmanager
def _one_line(problem: str, advice: str) -> Iterator[None]:
    """Whatever Keras, h5py, json or the network raise, some of it bare Exceptions, as a UserError."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of the very layers that Keras then raises about
            yield
    except Exception as error:
        raise UserError(f"network.weights: {problem} ({_shortened(error)}); {advice}") from error


def _shortened(error: Exception) -> str:
    text = one_line(error)
    return text if len(text) <= 240 else f"{text[:240]}..."
