import pytest
from pydantic import BaseModel, ValidationError

from fkd.experiment.prediction import Prediction, Selection


def test_a_face_is_predicted_once_as_it_is_unless_more_is_asked_for():
    prediction = Prediction()
    assert (prediction.detector, prediction.mirrored, prediction.views) == ("none", False, 1)
    assert (prediction.peaks, prediction.label_offsets) == ("soft_argmax", False)


def test_members_typed_by_their_numbers_are_kept_in_their_order_and_as_often():
    selection = Selection.model_validate({"policy": "indices", "indices": {"four": [4, 0, 4]}})
    assert selection.indices == {"four": (4, 0, 4)}
    assert Selection().policy == "greedy"


@pytest.mark.parametrize(
    ("section", "setting"),
    [
        (Prediction, {"views": 0}),
        (Prediction, {"detector": "yunet"}),
        (Prediction, {"peaks": "max"}),
        (Selection, {"policy": "worst"}),
        (Selection, {"top": 0}),
        (Selection, {"within_percent": -1}),
    ],
)
def test_what_predicts_nothing_is_refused(section: type[BaseModel], setting: dict[str, object]):
    with pytest.raises(ValidationError, match=next(iter(setting))):
        section.model_validate(setting)
