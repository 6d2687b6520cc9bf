"""The options of the build: warnings are errors where the developers ask for it, and nowhere else."""

import json
import subprocess

import pytest

from source_tree import ROOT


def compile_commands(folder, *options):
    """The commands that a fresh build folder would run."""
    configure = ["cmake", "-S", ROOT, "-B", folder, "-DHEADGATE_TESTS=OFF", *options]
    subprocess.run(configure, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return [entry["command"] for entry in json.loads((folder / "compile_commands.json").read_text())]


@pytest.mark.parametrize("options, errors", [([], False), (["-DHEADGATE_WERROR=ON"], True)])
def test_warnings_are_errors_by_an_option_alone(tmp_path, options, errors):
    commands = compile_commands(tmp_path, *options)
    assert len(commands) > 100
    assert {"-Werror" in command.split() for command in commands} == {errors}
    assert all("-Wall" in command for command in commands)


def test_a_quick_build_optimises_the_way_of_a_connection_as_any_other_build(tmp_path):
    commands = compile_commands(tmp_path, "-DHEADGATE_QUICK=ON")
    joined = {command.split("/CMakeFiles/quick_")[1].split(".dir/")[0]: command for command in commands if "/CMakeFiles/quick_" in command}
    assert set(joined) == {"commands", "traffic", "tls", "settings", "ground"}
    assert len(commands) < 10
    for part, command in joined.items():
        assert "-g0" in command.split() and "-O2" in command.split()
        assert ("-Og" in command.split()) == (part in ("commands", "settings")), command
    assert "-DHEADGATE_QUICK=ON" in (ROOT / "deploy/quickstart").read_text(encoding="utf-8")


def test_tests_run_makes_errors_of_warnings():
    assert "-DHEADGATE_WERROR=ON" in (ROOT / "tests/run").read_text(encoding="utf-8")
