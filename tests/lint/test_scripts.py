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
    lines = (ROOT / listing).read_text().splitlines()
    names = [line.removesuffix("?") for line in lines if line and not line.startswith("#")]
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


@needs_dpkg
def test_a_package_that_is_only_welcome_is_never_missing(install_packages):
    done = install_packages("bash", "headgate-no-such-package?")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = install_packages("headgate-no-such-package", "headgate-no-other-package?")
    assert "only root can install them: headgate-no-such-package\n" in done.stderr


def test_a_list_of_packages_that_is_not_there_is_a_fault():
    done = subprocess.run(
        [ROOT / "deploy/install-packages", ROOT / "deploy/no-such-list.txt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no-such-list.txt" in done.stderr


DOCKER = "deb [arch=amd64] https://download.docker.com/linux/debian trixie stable\n"
BACKPORTS = "Types: deb\nURIs: http://other.test/debian\nSuites: trixie\nComponents: contrib\n\n"
SECURITY = "Types: deb\nURIs: http://mirror.test/debian-security\nSuites: trixie-security\nComponents: main\n\n"
MAIN = "Types: deb\nURIs: http://old.test/gone http://mirror.test/debian\nSuites: trixie\nComponents: main contrib\n"


@pytest.mark.parametrize(
    "files, mirror",
    [
        ({"sources.list": "deb [arch=amd64] https://mirror.test/debian/ trixie main\n"}, "https://mirror.test/debian/"),
        ({"sources.list.d/debian.sources": BACKPORTS + SECURITY + MAIN}, "http://mirror.test/debian"),
        ({"sources.list.d/debian.sources": MAIN + "\n" + SECURITY + MAIN}, "http://mirror.test/debian"),
        ({"sources.list.d/a.list": DOCKER, "sources.list.d/debian.sources": MAIN}, "http://mirror.test/debian"),
        ({"sources.list.d/a.list": DOCKER}, "http://deb.debian.org/debian"),
        ({"sources.list": ""}, "http://deb.debian.org/debian"),
        ({}, "http://deb.debian.org/debian"),
    ],
)
def test_the_mirror_is_debians_and_no_other_repositorys(tmp_path, files, mirror):
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    environment = {name: value for name, value in os.environ.items() if name != "DEBIAN_MIRROR"}

    def asked(**more):
        return subprocess.run(
            [ROOT / "deploy/debian-mirror", tmp_path], capture_output=True, text=True, check=True, env=environment | more
        ).stdout

    assert asked() == mirror + "\n"
    assert asked(DEBIAN_MIRROR="http://own.test/d") == "http://own.test/d\n"


@pytest.mark.parametrize("words, code", [(["--help"], 0), (["-h"], 0), ([], 2), (["--nonsense"], 2), (["a", "b"], 2)])
def test_awslc_tells_how_it_is_used_and_makes_nothing(tmp_path, words, code):
    done = subprocess.run([ROOT / "deploy/awslc", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code and "deploy/awslc DIR" in (done.stdout if code == 0 else done.stderr)
    assert not list(tmp_path.iterdir())


def test_awslc_leaves_a_library_that_is_there_as_it_is(tmp_path):
    for name in ("include/openssl/is_awslc.h", "lib/libssl.a"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "version").write_text("librust-aws-lc-sys-dev_0_amd64.deb\n")
    done = subprocess.run([ROOT / "deploy/awslc", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert f"is in {tmp_path} already (librust-aws-lc-sys-dev_0_amd64.deb); remove" in done.stdout
