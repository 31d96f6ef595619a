"""The lock files are installed into one environment, one after another, so they may not contradict."""

import re
from collections import defaultdict

import pytest
from repository import REPOSITORY

APART = "rivals.txt"  # is installed into an environment of its own
# `name==version \`, or `name==version ; marker \`
PIN = re.compile(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)(?: ; (.*?))? \\$", re.MULTILINE)


@pytest.mark.parametrize("name", ["jax", "jax-gpu"])
def test_an_environment_with_jax_has_no_tensorflow(name: str):
    pins = {pin[0] for pin in PIN.findall((REPOSITORY / f"requirements/{name}.txt").read_text())}
    assert {"jax", "keras"} <= pins
    assert not [pin for pin in pins if pin.startswith("tensor")]


def test_all_lock_files_agree_on_every_version():
    versions = defaultdict(set)
    files = [file for file in REPOSITORY.glob("requirements/*.txt") if file.name != APART]
    assert (REPOSITORY / "requirements" / APART).is_file()
    for file in files:
        for name, version, marker in PIN.findall(file.read_text()):
            versions[name, marker].add(version)
    assert ("keras", "") in versions
    assert {pin: several for pin, several in versions.items() if len(several) > 1} == {}
