"""deploy/quickstart: its options, its estimate and its progress, on a small project in place of the real one."""

import os
import re
import shutil

import pytest

from harness.tools import TOP, run

CMAKE = """\
cmake_minimum_required(VERSION 3.25)
project(headgate LANGUAGES CXX)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
file(GLOB sources CONFIGURE_DEPENDS src/[ab].cc)
add_library(one STATIC ${sources})
add_executable(headgate src/main.cc)
target_link_libraries(headgate PRIVATE one)
"""
MAIN = """\
#include <cstdio>
int a();
int main(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) std::printf("%s%s", i == 0 ? "ran" : " ", i == 0 ? ":" : argv[i]);
  std::puts("");
  return a();
}
"""


@pytest.fixture
def quickstart(tmp_path):
    """Runs a copy of deploy/quickstart in a project that compiles in a moment and needs no package."""
    for name in ("deploy", "src"):
        (tmp_path / name).mkdir()
    shutil.copy(TOP / "deploy/quickstart", tmp_path / "deploy")
    (tmp_path / "deploy/install-packages").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "deploy/install-packages").chmod(0o755)
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (tmp_path / "src/main.cc").write_text(MAIN)
    (tmp_path / "src/a.cc").write_text("int b();\nint a() { return b(); }\n")
    (tmp_path / "src/b.cc").write_text("int b() { return 0; }\n")
    environment = {name: value for name, value in os.environ.items() if name != "CXX"}

    def start(*arguments):
        return run(tmp_path / "deploy/quickstart", *arguments, env=environment, cwd="/")

    return start


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--build-only", "--help"]], ids=" ".join)
def test_help_builds_nothing(quickstart, tmp_path, words):
    told = quickstart(*words)
    assert told.returncode == 0 and "--build-only" in told.stdout and "--listen" in told.stdout
    assert "set -euo" not in told.stdout
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    "words, fault",
    [
        (["--nonsense"], "unknown option --nonsense"),
        (["127.0.0.1:8443"], "unknown option 127.0.0.1:8443"),
        (["--listen"], "--listen needs a value"),
        (["--admin="], "--admin needs a value"),
        (["--build-only", "--bulid-dir", "x"], "unknown option --bulid-dir"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_option_is_refused_before_anything_is_built(quickstart, tmp_path, words, fault):
    told = quickstart(*words)
    assert told.returncode == 2 and told.stderr.startswith(f"deploy/quickstart: {fault}\n")
    assert not (tmp_path / "build").exists()


def test_it_says_how_long_it_takes_and_how_much_is_left(quickstart, tmp_path):
    told = quickstart("--build-only")
    assert told.returncode == 0, told
    assert re.match(r"The build takes about (\d+ min )?\d+ s on \d+ cores that have nothing else to do\.", told.stdout)
    assert re.search(r"^ *\d+ % built, about (\d+ min )?\d+ s left$", told.stdout, re.MULTILINE), told.stdout
    assert re.search(r"^Built \S+/build/headgate in \d+ s\.$", told.stdout, re.MULTILINE), told.stdout
    assert "HEADGATE_QUICK:UNINITIALIZED=ON" in (tmp_path / "build/CMakeCache.txt").read_text()
    assert "ran:" not in told.stdout


def test_it_ends_in_the_demo_with_its_options(quickstart, tmp_path):
    told = quickstart("--build-dir", tmp_path / "other", "--listen", "127.0.0.1:0", "--admin=off")
    assert told.returncode == 0, told
    assert told.stdout.endswith("ran: demo --listen 127.0.0.1:0 --admin off\n")
    assert (tmp_path / "other/headgate").exists() and not (tmp_path / "build").exists()


def test_a_second_run_compiles_what_has_changed(quickstart, tmp_path):
    assert quickstart("--build-only").returncode == 0
    (tmp_path / "src/b.cc").write_text("int b() { return 7; }\n")
    told = quickstart("--build-only")
    assert told.returncode == 0 and told.stdout.startswith("There is a build in build already"), told
    assert run(tmp_path / "build/headgate").returncode == 7


def test_a_failed_build_shows_the_compilers_words(quickstart, tmp_path):
    (tmp_path / "src/b.cc").write_text("int b() { return nothing; }\n")
    told = quickstart("--build-only")
    assert told.returncode == 1 and "Built" not in told.stdout
    assert "'nothing' was not declared" in told.stderr.replace("‘", "'").replace("’", "'"), told
    (tmp_path / "src/b.cc").write_text("int b() { return 0; }\n")
    assert quickstart("--build-only").returncode == 0
