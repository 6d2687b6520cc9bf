"""Makes the real binary crash at a known place: a small library is loaded before the system's own."""

import os

import pytest

from harness.tools import TOP, run, tool

# A sanitizer's own runtime has to come first, and reports crashes in its own way.
needs_its_own_crash_report = pytest.mark.skipif(
    bool(os.environ.get("HEADGATE_SANITIZE")), reason="a sanitizer takes the place of the library and of the report"
)


def crash_library(directory):
    """Builds crash.c; returns the library's path for LD_PRELOAD."""
    library = directory / "crash.so"
    source = TOP / "tests" / "e2e" / "harness" / "crash.c"
    built = run(tool("cc"), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, source, "-ldl")
    assert built.returncode == 0, built.stderr
    return library
