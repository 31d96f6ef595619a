"""TensorFlow's step is tested with the pool and the members that use it; here the same tests run on JAX."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from repository import REPOSITORY

ON_JAX = (
    "test_network_pool.py::test_members_trained_at_once_are_those_trained_alone[settings0]",
    "test_network_pool.py::test_several_steps_are_those_of_one_after_the_other",
    "test_network_pool.py::test_stacked_networks_are_those_trained_alone",
    "test_network_pool.py::test_networks_judged_at_once_are_those_judged_alone",
    "test_network_pool.py::test_what_is_judged_is_the_network_or_its_average_in_float32",
    "test_member_training.py::test_several_steps_in_a_call_resume_bit_for_bit[1-epoch 0, batch 2]",
    "test_member_training.py::test_resumed_is_bit_identical_to_undisturbed[0-fkd.training.member_training-save_state-2]",
)


@pytest.mark.skipif(not find_spec("jax"), reason="JAX is not installed")
def test_jax_trains_members_at_once_and_resumes_them_bit_for_bit():
    """`make test BACKEND=jax` runs all that concern it."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *(f"tests/training/{test}" for test in ON_JAX),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
