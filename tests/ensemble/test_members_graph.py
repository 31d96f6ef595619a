"""The members' points as the outputs of one model."""

from pathlib import Path

import numpy as np
from exported_models import IMAGES, new_run, save_constant_member

from fkd.core.keypoints import KAGGLE15
from fkd.ensemble.members_graph import members_model
from fkd.experiment.experiment import Experiment


def test_every_specialist_has_an_output_with_its_members_by_number(tmp_path: Path, experiment: Experiment):
    run = new_run(tmp_path)
    save_constant_member(run, experiment, "four", 0, shift_px=0)
    save_constant_member(run, experiment, "four", 1, shift_px=3)
    save_constant_member(run, experiment, "eleven", 0, shift_px=1)
    model = members_model(run, experiment, {"four": [1, 0, 1], "eleven": [0]})
    four, eleven = (np.asarray(output) for output in model.predict_on_batch(IMAGES))
    four_px, eleven_px = KAGGLE15.indices("four"), KAGGLE15.indices("eleven")
    np.testing.assert_allclose(four[..., 0], [[four_px, four_px + 3]] * 3, atol=1e-4)
    np.testing.assert_allclose(eleven[..., 0], [[eleven_px + 1]] * 3, atol=1e-4)
    np.testing.assert_allclose(four[..., 1], 50, atol=1e-4)
