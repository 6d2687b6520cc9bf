"""Shell scripts parse, and shellcheck finds nothing in them."""

import os
import shutil
import subprocess

import pytest

from source_tree import ROOT, shell_scripts, shown

SCRIPTS = sorted(shell_scripts())


@pytest.mark.parametrize("script", SCRIPTS, ids=shown)
def test_a_script_parses(script):
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    check = subprocess.run(
        ["shellcheck", "--severity=warning", *SCRIPTS], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=shown)
def test_a_script_may_be_run(script):
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    "listing", ["deploy/packages-build.txt", "tests/packages-test.txt", "bench/packages.txt", ".ci/packages-ci.txt"]
)
def test_a_list_of_packages_is_sorted_and_without_repetition(listing):
    names = [line for line in (ROOT / listing).read_text().splitlines() if line and not line.startswith("#")]
    assert names == sorted(set(names))
