"""The binary is built as a daemon that faces the network should be."""

import os
import re
import subprocess

import pytest

from source_tree import HEADGATE

pytestmark = [
    pytest.mark.skipif(not HEADGATE.exists(), reason="the binary is not built"),
    pytest.mark.skipif(bool(os.environ.get("HEADGATE_SANITIZE")), reason="a build with sanitizers is not for use"),
]


@pytest.fixture(name="readelf", scope="module")
def _readelf():
    def run(*options: str) -> str:
        return subprocess.run(
            ["readelf", "--wide", *options, HEADGATE], capture_output=True, text=True, check=True
        ).stdout

    return run


def test_it_is_position_independent(readelf):
    assert re.search(r"Type:\s+DYN \(Position-Independent Executable", readelf("--file-header"))


def test_relocations_are_read_only_before_main_runs(readelf):
    assert "GNU_RELRO" in readelf("--program-headers")
    assert re.search(r"FLAGS.*\bBIND_NOW\b|FLAGS_1.*\bNOW\b", readelf("--dynamic"))


def test_the_stack_is_not_executable(readelf):
    stack = next(line for line in readelf("--program-headers").splitlines() if "GNU_STACK" in line)
    assert "RWE" not in stack


def test_no_segment_is_writable_and_executable(readelf):
    assert not re.search(r"LOAD.*\bRWE\b", readelf("--program-headers"))


def test_stacks_are_guarded(readelf):
    assert "__stack_chk_fail" in readelf("--dyn-syms")


def test_libc_calls_are_fortified(readelf):
    assert re.search(r"__\w+_chk@", readelf("--dyn-syms").replace("__stack_chk_fail", ""))


def test_containers_check_their_indices(readelf):
    assert "__glibcxx_assert_fail" in readelf("--dyn-syms")


def test_no_library_path_is_built_in(readelf):
    assert not re.search(r"\((RPATH|RUNPATH)\)", readelf("--dynamic"))
