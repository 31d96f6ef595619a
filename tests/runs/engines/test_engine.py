import pytest

from fkd.core.errors import UserError
from fkd.runs.engines.engine import Engine


def test_what_does_not_go_together_is_refused():
    with pytest.raises(UserError, match=r"^--address: expected with --engine ray"):
        Engine(address="10.0.0.1:6379")
    for wrong in ({"processes": 2}, {"members_at_once": 2}):
        with pytest.raises(UserError, match=r"^--jobs and --at-once: expected with --engine local"):
            Engine("ray", **wrong)
