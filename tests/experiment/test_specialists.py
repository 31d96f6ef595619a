import pytest
from pydantic import ValidationError

from fkd.experiment.specialists import MemberId, Specialist, Variant


def test_a_member_is_named_by_its_specialist_and_two_digits_or_more():
    assert [MemberId("four", index).name for index in (0, 7, 123)] == ["four/00", "four/07", "four/123"]


def test_a_specialist_takes_the_rows_that_have_all_its_points_unless_it_says_otherwise():
    specialist = Specialist(keypoints="four", members=1)
    assert (specialist.rows, specialist.validation_fold, specialist.batch_size) == ("labelled", 0, 128)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"members": 0}, "members\n.*greater than or equal to 1"),
        ({"batch_size": 0}, "batch_size\n.*greater than or equal to 1"),
        ({"validation_fold": -1}, "validation_fold\n.*greater than or equal to 0"),
        ({"rows": "some"}, "rows\n.*'labelled', 'any' or 'complete'"),
    ],
)
def test_a_specialist_that_cannot_be_is_refused(setting: dict[str, object], words: str):
    with pytest.raises(ValidationError, match=words):
        Specialist.model_validate({"keypoints": "four", "members": 1} | setting)


@pytest.mark.parametrize("magnitude", [0, 1.01])
def test_a_variant_changes_pictures_a_little_or_as_much_as_the_others(magnitude: float):
    assert Variant(augmentation_magnitude=1).map_divergence is None
    with pytest.raises(ValidationError, match="augmentation_magnitude"):
        Variant(augmentation_magnitude=magnitude)
