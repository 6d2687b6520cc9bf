"""Manual pages render without a warning and say what the documents say; completions have every command and option."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from source_tree import HEADGATE, ROOT

PAGES = {"headgate": ("commands", "1"), "headgate.yaml": ("configuration", "5")}
COMPLETION = ROOT / "deploy/completion"
needs_headgate = pytest.mark.skipif(not HEADGATE.exists(), reason="the binary is not built")


def output(*argv, **options) -> str:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True, **options).stdout


def source_of(name: str) -> str:
    page, section = PAGES[name]
    document = ROOT / "docs" / f"{page}.md"
    return output(sys.executable, ROOT / "cmake/manual_page.py", document, name, section, "0.0.0", "2000-01-01")


def rendered(name: str) -> str:
    """The page as `man` shows it, on lines that are long enough for every word."""
    wide = ["-rLL=1000n", "-P-cbou"]
    shown = subprocess.run(
        ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", *wide], input=source_of(name), capture_output=True, text=True, check=True
    )
    assert shown.stderr == ""
    return shown.stdout


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
@pytest.mark.parametrize("name", PAGES)
def test_a_manual_page_renders_without_a_warning(name):
    text = rendered(name)
    assert re.match(rf"{name.upper()}\({PAGES[name][1]}\)", text)
    assert f"{name} - " in text and not re.search(r"\]\(|\*\*|\|", text), "Markdown is left"


def keys_of(schema) -> set[str]:
    """The names of all keys of a part of the schema."""
    found = set()
    if isinstance(schema, dict):
        found |= set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
        for part in schema.values():
            found |= keys_of(part)
    elif isinstance(schema, list):
        for part in schema:
            found |= keys_of(part)
    return found


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_manual_page_of_the_configuration_has_every_key():
    text = rendered("headgate.yaml")
    keys = keys_of(json.loads((ROOT / "config/headgate.schema.json").read_text(encoding="utf-8")))
    assert len(keys) > 100 and not sorted(key for key in keys if not re.search(rf"\b{key}\b", text))


def options_of(*command: str) -> set[str]:
    """The options in the help of a command, without -h, which --help has as well."""
    told = output(HEADGATE, *command, "--help")
    options = re.findall(r"^  (-[\w-]+(?:,-[\w-]+)*)", told, re.M)
    return {option for group in options for option in group.split(",")} - {"-h"}


def commands_of(*command: str) -> set[str]:
    told = output(HEADGATE, *command, "--help").partition("\nSubcommands:\n")[2]
    return set(re.findall(r"^  ([a-z][\w-]*) ", told.partition("\n\n")[0], re.M))


def words_after(*words: str) -> set[str]:
    """What bash completes after these words, before anything of the next one is typed."""
    line = " ".join(f"'{word}'" for word in (*words, ""))
    script = f"""
compopt() {{ :; }}
source {COMPLETION}/headgate.bash
COMP_WORDS=({line}); COMP_CWORD={len(words)}
_headgate headgate "$1" '{words[-1]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    nothing = output("bash", "-c", script, "complete", "", cwd=COMPLETION)
    options = output("bash", "-c", script.replace(" ''); COMP_CWORD", " -); COMP_CWORD"), "complete", "-", cwd=COMPLETION)
    return set(f"{nothing}\n{options}".split()) - {path.name for path in COMPLETION.iterdir()}


@needs_headgate
@pytest.mark.parametrize("command", ["run", "demo", "check", "show", "explain", "import", "ticket-key", "version", "help"])
def test_the_completions_have_what_the_command_has(command):
    options, others = options_of(command), commands_of(command) if command != "help" else commands_of()
    assert words_after("headgate", command) == options | others
    case = re.search(rf"^    (?:[\w| -]*\| )?{command}(?: \|[\w| -]*)?\)(.*?);;", (COMPLETION / "_headgate").read_text(), re.M | re.S)[1]
    zsh = set(re.findall(r"(?<=[\s'\"*])(-[\w-]+)(?=\[|')", case)) | ({"-c", "--config"} if "$config" in case else set())
    assert zsh == options
    assert all(re.search(rf"[( ]{word}[ )]", case) for word in others)


@needs_headgate
def test_the_completions_have_every_command():
    commands = commands_of()
    assert len(commands) > 5 and words_after("headgate") == commands | options_of()
    described = (COMPLETION / "_headgate").read_text(encoding="utf-8").partition("commands=(")[2].partition("\n)")[0]
    assert set(re.findall(r"^  '([\w-]+):", described, re.M)) == commands


@needs_headgate
def test_the_names_of_listeners_are_completed(tmp_path):
    (tmp_path / "two.yaml").write_text(
        "listeners:\n- {name: one, bind: '127.0.0.1:1', backend: a}\n- {name: other, bind: '127.0.0.1:2', backend: a}\n"
        "backends: {a: {servers: ['127.0.0.1:3']}}\n"
    )
    script = f"""
source {COMPLETION}/headgate.bash
COMP_WORDS=('{HEADGATE}' explain '{tmp_path}/two.yaml' --listener o); COMP_CWORD=4
_headgate headgate o --listener
echo "${{COMPREPLY[@]}}"
"""
    assert output("bash", "-c", script).split() == ["one", "other"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_reads_its_completion():
    output("zsh", "-n", COMPLETION / "_headgate")


@needs_headgate
def test_the_manual_page_of_the_commands_has_every_option():
    text = re.sub(r"\\f[BIR]", "", source_of("headgate").replace("\\-", "-"))
    for command in commands_of():
        missing = [option for option in options_of(command) if not re.search(rf"(?<![\w-]){option}\b", text)]
        assert f"headgate {command}" in text and not missing, (command, missing)


@needs_headgate
def test_the_configuration_of_the_package_has_one_fault_until_its_certificate_is_made():
    told = subprocess.run([HEADGATE, "check", ROOT / "deploy/debian/headgate.yaml"], capture_output=True, text=True, check=False)
    faults = [line for line in told.stdout.splitlines() if ": note: " not in line]
    assert len(faults) == 1 and "default.pem" in faults[0], told.stdout
