import pytest
from pydantic import ValidationError

from fkd.experiment.resources import Resources


def test_a_member_has_all_cores_and_one_gpu_unless_it_says_otherwise():
    assert Resources().model_dump() == {"cpus": None, "gpus": 1.0}
    assert Resources(cpus=2, gpus=0.25).gpus == 0.25


@pytest.mark.parametrize("setting", [{"cpus": 0}, {"gpus": -0.5}, {"gpus": 2}], ids=str)
def test_a_share_that_no_machine_can_give_is_refused(setting: dict[str, float]):
    with pytest.raises(ValidationError, match=next(iter(setting))):
        Resources.model_validate(setting)
