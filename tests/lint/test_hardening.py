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


def test_a_stack_frame_touches_each_page_that_it_takes():
    """Stack clash protection: the stack grows by a page at a time, and each page is written to."""
    machine = os.uname().machine
    if machine != "x86_64":
        pytest.skip(f"this test cannot read the code of {machine}")
    grows = re.compile(r"\bsub +\$0x([0-9a-f]+),%rsp")
    code = subprocess.Popen(
        ["objdump", "--disassemble", "--section=.text", "--no-show-raw-insn", HEADGATE], stdout=subprocess.PIPE, text=True
    )
    probes, unprobed, before = 0, [], ""
    for line in code.stdout:
        if (found := grows.search(before)) and 4096 <= int(found[1], 16) < 1 << 31:
            probed = re.search(r"\b(?:or|mov)q +\$0x0,(?:0x[0-9a-f]+)?\(%rsp\)", line)
            probes += bool(probed)
            unprobed += [] if probed else [before.strip()]
        before = line
    assert code.wait() == 0
    assert probes and not unprobed, "\n".join(unprobed)


def test_containers_check_their_indices(readelf):
    assert "__glibcxx_assert_fail" in readelf("--dyn-syms")


def test_no_library_path_is_built_in(readelf):
    assert not re.search(r"\((RPATH|RUNPATH)\)", readelf("--dynamic"))
