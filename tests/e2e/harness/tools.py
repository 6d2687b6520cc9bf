"""Finds the programs that a test runs, and runs one to its end."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def headgate_binary():
    """The binary under test: HEADGATE_BINARY, or the one in build/."""
    binary = Path(os.environ.get("HEADGATE_BINARY", TOP / "build" / "headgate")).resolve()
    if not binary.exists():
        pytest.fail(f"{binary} does not exist: build it, or set HEADGATE_BINARY")
    return str(binary)


def tool(name):
    """The path of an installed program. A missing one fails the test: nothing is skipped in silence."""
    found = shutil.which(name, path=os.environ["PATH"] + ":" + _SBIN)
    if not found:
        pytest.fail(f"{name} is not installed; tests/packages-e2e.txt lists what the tests need")
    return found


def run(*argv, stdin="", seconds=60, **options):
    """Runs a program to its end and returns it with its text output; never raises for an exit code."""
    return subprocess.run(
        [str(word) for word in argv], input=stdin, capture_output=True, text=True, timeout=seconds, **options
    )


@functools.cache
def is_on_awslc():
    """Whether Headgate is built on AWS-LC. What AWS-LC lacks: docs/tls-library.md."""
    return "AWS-LC" in run(headgate_binary(), "version").stdout


def openssl_version():
    """(major, minor) of the installed OpenSSL."""
    words = run(tool("openssl"), "version").stdout.split()
    major, minor = words[1].split(".")[:2]
    return int(major), int(minor)
