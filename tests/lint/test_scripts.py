"""Shell scripts parse, shellcheck finds nothing in them, and an ordinary user can install-packages when nothing is missing."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

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
    "listing", ["deploy/packages-build.txt", "deploy/packages-release.txt", "tests/packages-test.txt", "bench/packages.txt", ".ci/packages-ci.txt"]
)
def test_a_list_of_packages_is_sorted_and_without_repetition(listing):
    names = [line for line in (ROOT / listing).read_text().splitlines() if line and not line.startswith("#")]
    assert names == sorted(set(names))


@pytest.fixture(name="install_packages")
def _install_packages():
    """Runs a copy of deploy/install-packages as an ordinary user, on a list of the packages that are passed."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        os.chmod(folder, 0o755)
        script = shutil.copy(ROOT / "deploy/install-packages", folder)
        listing = Path(folder) / "packages.txt"
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}

        def run(*packages: str) -> subprocess.CompletedProcess:
            listing.write_text("# a comment\n" + "".join(f"{package}\n" for package in packages), encoding="utf-8")
            listing.chmod(0o644)
            return subprocess.run(
                [script, listing], cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **user
            )

        yield run


needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-query"), reason="this is no Debian system")


@needs_dpkg
def test_an_ordinary_user_may_ask_for_packages_that_are_there(install_packages):
    done = install_packages("bash", "dpkg")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_dpkg
def test_an_ordinary_user_is_told_which_packages_are_missing_and_how_to_install_them(install_packages):
    done = install_packages("bash", "headgate-no-such-package", "headgate-no-other-package")
    assert done.returncode == 1
    missing = "headgate-no-other-package headgate-no-such-package"
    assert f"only root can install them: {missing}\n" in done.stderr
    assert f"\n  sudo apt-get install --no-install-recommends {missing}\n" in done.stderr


def test_a_list_of_packages_that_is_not_there_is_a_fault():
    done = subprocess.run(
        [ROOT / "deploy/install-packages", ROOT / "deploy/no-such-list.txt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no-such-list.txt" in done.stderr
