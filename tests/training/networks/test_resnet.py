import importlib.util
import itertools
import random
import sys
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fkd.core.errors import UserError
from fkd.experiment.network import Dense, ResNet
from fkd.training.networks.resnet import build_resnet, load_resnet_weights

HUB = importlib.util.find_spec("keras_hub") is not None
needs_hub = pytest.mark.skipif(not HUB, reason="keras-hub is not installed: make resnet")
depth_18 = pytest.param(18, marks=needs_hub)


def build(depth: int, first_seed: int = 1, **settings: Any) -> keras.Model:
    return build_resnet(named(depth, **settings), 96, 8, itertools.count(first_seed))


@cache
def built_once(depth: int) -> keras.Model:
    """A network that no test changes."""
    return build(depth)


def named(depth: int, weights: str | Path = "none", **settings: Any) -> ResNet:
    return ResNet(kind="resnet", depth=depth, weights=str(weights), **settings)


def tiny(seed: int) -> keras.Model:
    """A network of two weights that stands for a ResNet, where only its backbone's weights matter."""
    layers = [keras.Input((1,)), keras.layers.Dense(1, kernel_initializer=keras.initializers.HeNormal(seed))]
    return keras.Sequential([keras.Input((1,)), keras.Sequential(layers, name="backbone")])


def assert_same_weights(a: keras.Model, b: keras.Model) -> None:
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def first_kernel(model: keras.Model) -> np.ndarray:
    return model.get_layer("backbone").get_layer("conv1_conv").get_weights()[0]


@pytest.fixture(scope="module")
def source() -> keras.Model:
    """A ResNet18 whose backbone stands for one that others trained."""
    return build(18, first_seed=100)


@pytest.fixture(scope="module")
def files(source: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the source: its backbone's and the whole network's."""
    folder = tmp_path_factory.mktemp("weights")
    source.get_layer("backbone").save_weights(folder / "backbone.weights.h5")
    source.save_weights(folder / "whole.weights.h5")
    return folder


@pytest.mark.parametrize(
    ("depth", "backbone", "features"),
    [
        # Weights as published, the two moving averages of every normalised channel included.
        pytest.param(18, 11_186_112, 512, marks=needs_hub),
        pytest.param(34, 21_301_696, 512, marks=needs_hub),
        (50, 23_587_712, 2048),
    ],
)
def test_sizes_by_hand(depth: int, backbone: int, features: int):
    model = build(depth, colour_kernel=5, dense=(Dense(units=10),))
    colour, head = (5 * 5 * 1 + 1) * 3, (features + 1) * 10 + (10 + 1) * 8
    assert model.get_layer("backbone").count_params() == backbone
    assert model.count_params() == colour + backbone + head
    assert (model.input_shape, model.output_shape) == ((None, 96, 96, 1), (None, 8))
    assert model.get_layer("backbone").output_shape == (None, 3, 3, features)  # 96 px halved five times


@pytest.mark.parametrize("depth", [depth_18, 50])
def test_weights_are_a_function_of_the_seeds(depth: int):
    former = built_once(depth)
    random.random()
    again, other = build(depth), build(depth, first_seed=2)
    assert_same_weights(former, again)
    assert (first_kernel(former) != first_kernel(other)).all()


def test_the_random_numbers_of_others_go_on_as_if_nothing_was_built():
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    build(50)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_the_colours_activation():
    model = build(50, colour_activation="leaky_relu", leaky_relu_slope=0.25)
    colour, leaky = model.layers[1:3]
    image = keras.ops.ones((1, 2, 2, 1))
    colour.set_weights([np.array([[[[1.0, -1.0, 0.0]]]]), np.array([0.0, 0.0, -2.0])])
    assert leaky(colour(image))[0, 0, 0].numpy().tolist() == [1.0, -0.25, -0.5]


@needs_hub
def test_a_trained_network_keeps_its_moving_averages_in_a_file(tmp_path: Path):
    trained, other = build(18), build(18, first_seed=2)
    averages = [variable for variable in trained.variables if "moving_mean" in variable.path]
    assert len(averages) == 20  # one for every convolution but the first
    trained.compile("sgd", "mean_squared_error", jit_compile=False)
    random_batch = np.random.default_rng(0)
    trained.train_on_batch(random_batch.random((2, 96, 96, 1), np.float32), np.zeros((2, 8), np.float32))
    assert all(np.any(average.numpy() != 0) for average in averages)
    trained.save_weights(tmp_path / "trained.weights.h5")
    other.load_weights(tmp_path / "trained.weights.h5")
    assert_same_weights(trained, other)


@pytest.mark.parametrize("depth", [18, 34])
def test_without_keras_hub_the_error_says_how_to_get_it(depth: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(
        UserError, match=rf"^network.depth: {depth} needs .* `make resnet`, or use depth: 50$"
    ):
        build(depth)


def test_no_weights_leave_the_network_as_it_was():
    model = tiny(1)
    load_resnet_weights(model, named(50, "none"))
    assert_same_weights(model, tiny(1))


@needs_hub
def test_a_file_fills_the_backbone_and_nothing_else(source: keras.Model, files: Path):
    model = build(18)
    load_resnet_weights(model, named(18, files / "backbone.weights.h5"))
    assert_same_weights(model.get_layer("backbone"), source.get_layer("backbone"))
    untouched = built_once(18).get_weights()
    np.testing.assert_array_equal(model.get_weights()[0], untouched[0])  # the colours
    np.testing.assert_array_equal(model.get_weights()[-2], untouched[-2])  # the head


def test_a_file_in_the_format_of_the_published_ones(tmp_path: Path):
    source, model = built_once(50), build(50, first_seed=100)
    source.get_layer("backbone").save(tmp_path / "notop.h5")
    load_resnet_weights(model, named(50, tmp_path / "notop.h5"))
    assert_same_weights(model.get_layer("backbone"), source.get_layer("backbone"))


@needs_hub
def test_a_preset_folder_even_by_the_name_of_a_published_one(
    source: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    source.get_layer("backbone").save_to_preset("resnet_18_imagenet")
    model = build(18)
    load_resnet_weights(model, named(18, "resnet_18_imagenet"))
    assert_same_weights(model.get_layer("backbone"), source.get_layer("backbone"))
    with pytest.raises(UserError, match=r"a ResNet34 with 21,301,696 weights, received .* 11,186,112"):
        load_resnet_weights(built_once(34), named(34, "resnet_18_imagenet"))


@needs_hub
@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("damaged.weights.h5", b"no weights", "file signature not found"),
        ("cut.weights.h5", None, "truncated file"),
        ("weights.txt", b"no weights", "File format not supported"),
        ("whole.weights.h5", None, "could not be loaded"),
        ("nowhere.h5", None, "which does not exist; correct the path"),
        ("empty", None, "expected a Keras preset of a ResNet18 .*config.json"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(files: Path, name: str, content: bytes | None, problem: str):
    path = files / name
    if name == "cut.weights.h5":
        content = (files / "backbone.weights.h5").read_bytes()[:1_000_000]
    if content is not None:
        path.write_bytes(content)
    if name == "empty":
        path.mkdir()
    with pytest.raises(UserError, match=rf"^network.weights: .*{name}.*{problem}.*$"):
        load_resnet_weights(built_once(18), named(18, path))


@needs_hub
def test_the_weights_of_another_depth_are_refused(files: Path):
    with pytest.raises(UserError, match=r"^network.weights: .*weights of a ResNet34 without its top.*$"):
        load_resnet_weights(built_once(34), named(34, files / "backbone.weights.h5"))


def test_imagenet_at_depth_50(monkeypatch: pytest.MonkeyPatch):
    model, wanted = tiny(1), []
    monkeypatch.setattr("keras.applications.ResNet50", lambda **wishes: wanted.append(wishes) or tiny(2))
    load_resnet_weights(model, named(50, "imagenet"))
    assert wanted == [{"weights": "imagenet", "include_top": False}]
    assert_same_weights(model, tiny(2))


@needs_hub
def test_imagenet_at_depth_18(monkeypatch: pytest.MonkeyPatch):
    presets = {"resnet_18_imagenet": tiny(2)}
    monkeypatch.setattr("keras_hub.models.ResNetBackbone.from_preset", presets.__getitem__)
    model = tiny(1)
    load_resnet_weights(model, named(18, "imagenet"))
    assert_same_weights(model, tiny(2))


@pytest.mark.parametrize(
    ("depth", "downloader"),
    [
        pytest.param(18, "keras_hub.models.ResNetBackbone.from_preset", marks=needs_hub),
        (50, "keras.applications.ResNet50"),
    ],
)
def test_imagenet_without_a_network_names_the_ways_out(
    depth: int, downloader: str, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise Exception("URL fetch failure:\nName or service not known")

    model = tiny(1)
    monkeypatch.setattr(downloader, fail)
    with pytest.raises(UserError) as caught:
        load_resnet_weights(model, named(depth, "imagenet"))
    assert str(caught.value) == (
        f"network.weights: the ImageNet weights of the ResNet{depth} cannot be obtained "
        "(URL fetch failure: Name or service not known); give the path of a local weights file, "
        "of a local preset folder (depths 18 and 34), or none"
    )
    assert_same_weights(model, tiny(1))


def test_there_is_no_imagenet_at_depth_34():
    with pytest.raises(
        UserError, match=r"no ImageNet weights of a plain ResNet34; give the path of a weights"
    ):
        load_resnet_weights(tiny(1), named(34, "imagenet"))
