from pathlib import Path

import h5py
import numpy as np
import pytest
from small_run import small_faces, write_done, write_run

from fkd.experiment.files import validate_experiment
from fkd.report.figures.filter_figures import filter_section, read_first_kernel
from fkd.report.run_record import read_run

FACES = small_faces()


def test_the_best_member_of_each_specialist(tmp_path: Path):
    section = filter_section(read_run(write_run(tmp_path, FACES), FACES))
    assert section.text == "Of four/01, eleven/00."
    drawn = section.figures[0].draw()
    drawn.canvas.draw()
    assert [axes.get_title() for axes in drawn.axes] == ["four/01", "eleven/00"]
    mosaic = drawn.axes[0].images[0].get_array()
    # Two of eight places of 3x3 with a gap of one; kernels -9, -7, ... and -8, -6, ...
    assert mosaic.shape == (3, 31)
    assert mosaic[0, :3].tolist() == [-9, -7, -5]
    assert mosaic[2, 4:7].tolist() == [4, 6, 8]
    assert mosaic.mask[:, 3].all()
    assert mosaic.mask[:, 7:].all()
    assert drawn.axes[0].images[0].get_clim() == (-9, 9)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (8, 4)])
def test_single_weights_are_no_picture(tmp_path: Path, shape: tuple[int, ...]):
    run = write_run(tmp_path, FACES, {"four": (1.0,), "eleven": (None,)})
    folder = run.member("four", 0)
    with h5py.File(folder.best_weights, "w") as file:
        file["layers/conv2d/vars/0"] = np.ones(shape)
    write_done(folder)
    section = filter_section(read_run(run, FACES))
    assert (section.figures, section.text) == (
        (),
        "The first convolution has no picture: its kernels are single weights.",
    )


def test_no_member_is_finished(tmp_path: Path):
    section = filter_section(
        read_run(write_run(tmp_path, FACES, {"four": (None,), "eleven": (None,)}), FACES)
    )
    assert (section.figures, section.text) == ((), "No member is finished yet.")


@pytest.mark.parametrize(
    "network",
    [
        {"convolutions": [{"filters": 2, "kernel": 5}, {"filters": 3, "kernel": 3}]},
        {"kind": "heatmap", "filters": [2, 3], "kernel": 5},
        {"kind": "resnet", "depth": 50, "colour_kernel": 5},
    ],
)
def test_keras_keeps_the_first_kernel_there(tmp_path: Path, network: dict[str, object]):
    import keras

    from fkd.training.networks.build import build_model

    settings = {
        "name": "kernels",
        "network": network,
        "specialists": {"four": {"keypoints": "four", "members": 1}},
    }
    if network.get("kind") == "heatmap":
        settings["training"] = {"loss": "kl_divergence"}
    experiment = validate_experiment(settings, "test")
    keras.utils.clear_session()
    build_model(experiment.network, 4, (0,))  # Keras numbers the layers of a second model further
    model = build_model(experiment.network, 4, (0,))
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    model.save_weights(tmp_path / "best.weights.h5")
    kernel = read_first_kernel(tmp_path / "best.weights.h5")
    assert kernel is not None
    expected = keras.ops.convert_to_numpy(first.kernel)
    np.testing.assert_array_equal(kernel[1], expected[:, :, 0, 1])
