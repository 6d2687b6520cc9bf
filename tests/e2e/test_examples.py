"""Headgate accepts every configuration that the project ships."""

import pytest

from harness.example_files import copy_example
from harness.tools import TOP, headgate_binary, run

EXAMPLES = sorted([*TOP.glob("config/*.yaml"), *TOP.glob("config/examples/*.yaml")])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(TOP)))
def test_every_example_passes_check_once_its_files_are_there(example, tmp_path, authority):
    copy = copy_example(example, tmp_path, authority)
    told = run(headgate_binary(), "check", "--config", copy)
    assert told.returncode == 0, told.stdout + told.stderr
