"""Headgate accepts every configuration that the project ships."""

import shutil

import pytest
import yaml

from harness.example_files import provide_files
from harness.tools import TOP, headgate_binary, run

EXAMPLES = sorted([*TOP.glob("config/*.yaml"), *TOP.glob("config/examples/**/*.yaml")])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(TOP)))
def test_every_example_passes_check_once_its_files_are_there(example, tmp_path, authority):
    copy = tmp_path / example.name
    shutil.copy(example, copy)
    provide_files(yaml.safe_load(example.read_text()), tmp_path, authority)
    told = run(headgate_binary(), "check", "--config", copy)
    assert told.returncode == 0, told.stdout + told.stderr
