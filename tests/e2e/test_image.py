"""The steps of the Dockerfile that make the image's own root file system, on the Debian release that the image is of."""

import re
import shlex
from pathlib import Path

import pytest
from harness.tools import TOP, headgate_binary, run, tool

RELEASE = dict(re.findall(r"^(\w+)=\"?([^\"\n]*)", Path("/etc/os-release").read_text(), re.M))
FINAL_STAGE = (TOP / "Dockerfile").read_text().split("\nFROM ")[-1]
(STEP,) = re.findall(r"^RUN ((?:.*\\\n)*.*)$", FINAL_STAGE, re.M)
COMMANDS = [shlex.split(command) for command in STEP.replace("\\\n", " ").split("&&")]
# What comes with every image of Debian, or with the library that needs it.
IN_THE_BASE = {"libc6", "libgcc-s1", "libstdc++6"}

pytestmark = pytest.mark.skipif(RELEASE["VERSION_CODENAME"] != "trixie", reason="the image is of Debian 13")


def command(name):
    (found,) = [one for one in COMMANDS if one[: len(name)] == name]
    return found


def installed():
    return {word for word in command(["apt-get", "install"])[2:] if not word.startswith("-")}


def packages_of(libraries):
    """The Debian packages of some files. dpkg knows a library by its path below /usr, or by the one without it."""
    found = set()
    for library in libraries:
        file = Path(library).resolve()
        found.add(run(tool("dpkg-query"), "--search", f"*{file.parent.name}/{file.name}").stdout.partition(":")[0])
    return found


def test_the_image_has_the_packages_of_the_libraries_that_the_program_names_and_none_that_it_does_not_load():
    named = re.findall(r"\(NEEDED\).*\[(.*)\]", run(tool("readelf"), "--dynamic", headgate_binary()).stdout)
    loaded = dict(re.findall(r"^\t(\S+) => (\S+)", run(tool("ldd"), headgate_binary()).stdout, re.M))
    assert "libssl.so.3" in named and "libssl.so.3" in loaded
    # The loader is in no line with an arrow.
    assert packages_of(loaded[name] for name in named if name in loaded) - IN_THE_BASE <= installed()
    assert installed() - {"ca-certificates"} <= packages_of(loaded.values())


def test_debian_has_the_packages_of_the_image():
    told = run(tool("apt-get"), "--simulate", *command(["apt-get", "install"])[1:])
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_user_of_the_image_is_the_one_that_it_runs_as(tmp_path):
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group", "shadow", "gshadow"):
        (tmp_path / "etc" / name).touch()
    for step in ("groupadd", "useradd"):
        told = run(tool(step), "--prefix", tmp_path, *command([step])[1:])
        assert told.returncode == 0, told.stderr
    assert (tmp_path / "etc/group").read_text().startswith("headgate:")
    name, _, user, group, *_ = (tmp_path / "etc/passwd").read_text().split(":")
    assert name == "headgate" and f"\nUSER {user}:{group}\n" in FINAL_STAGE
