"""Commands that documents show are right: the program takes their words, and scripts have their options."""

import re
import shlex
import subprocess

import pytest

from source_tree import HEADGATE, ROOT, SRC, files, shown

DOCUMENTS = sorted(files(".md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
# In the place of a command: at its line's beginning, behind `$ `, or behind another command.
OF_HEADGATE = re.compile(r"(?:^|[;&|(] *)(?:[\w./]*/)?headgate( [a-z-]+(?= |$)[^|;&<>)]*)")
OF_A_SCRIPT = re.compile(r"^(?:sudo )?((?:deploy|tests|bench|\.ci)/[\w./-]+)((?: [^|;&<>]*)?)")
# What stands for a word of the reader's own.
WORDS = {"FORMAT": "haproxy", "COMMAND": "check"}
USAGE_EXIT_CODE = 2
needs_headgate = pytest.mark.skipif(not HEADGATE.exists(), reason="the binary is not built")


def lines_of_code(document):
    """The lines of all commands and of their output, a continued line as one, without comments."""
    for kind, block in BLOCK.findall(document.read_text(encoding="utf-8")):
        if kind in ("", "sh", "console", "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                yield re.sub(r"^\$ ", "", re.sub(r" +#.*", "", line)).strip()


def code_in_sentences(document):
    return re.findall(r"`([^`\n]+)`", BLOCK.sub("", document.read_text(encoding="utf-8")))


def commands_of_headgate(pieces_of):
    """{the words behind `headgate`: a page that shows them}."""
    found = {}
    for document in DOCUMENTS:
        for piece in pieces_of(document):
            for words in OF_HEADGATE.findall(piece):
                found[words.strip()] = shown(document)
    return found


SHOWN, NAMED = commands_of_headgate(lines_of_code), commands_of_headgate(code_in_sentences)


def run(*words, **options):
    return subprocess.run([HEADGATE, *words], capture_output=True, text=True, check=False, timeout=20, **options)


@needs_headgate
@pytest.mark.parametrize("words", sorted(SHOWN))
def test_headgate_takes_a_command_that_documents_show(words, tmp_path):
    """The files that it names are not there, so nothing is started."""
    if words.split()[0] == "demo":
        words = "demo --help " + words.partition(" ")[2]
    told = run(*shlex.split(words.replace("/etc/", "missing/")), cwd=tmp_path)
    assert told.returncode != USAGE_EXIT_CODE, (SHOWN[words], told.stderr)


@needs_headgate
@pytest.mark.parametrize("words", sorted(NAMED))
def test_a_command_that_a_sentence_names_is_there_with_its_options(words):
    plain = [WORDS.get(word.strip("[]"), word.strip("[]")) for word in words.split()]
    command = [word for word in plain[: 2 if plain[0] in ("import", "ticket-key") else 1] if not word.startswith("-")]
    told = run(*command, "--help")
    assert told.returncode == 0, (NAMED[words], told.stderr)
    options = [word for word in plain if word.startswith("-") and word != "--help"]
    assert not [option for option in options if not re.search(rf"(?<![\w-]){option}\b", told.stdout)], NAMED[words]


def test_documents_show_commands():
    assert len(SHOWN) > 10 and len(NAMED) > 10


def test_the_scripts_that_documents_name_have_their_options():
    missing, seen = [], 0
    for document in DOCUMENTS:
        for piece in [*lines_of_code(document), *code_in_sentences(document)]:
            for path, words in OF_A_SCRIPT.findall(piece):
                script = ROOT / path
                if not script.exists():
                    if "*" not in piece:
                        missing.append(f"{shown(document)}: {path}")
                    continue
                text = script.read_text(encoding="utf-8") if script.is_file() else ""
                options = re.findall(r"(?<!\S)(--[a-z-]+)", words)
                seen += len(options)
                missing += [f"{shown(document)}: {path} {option}" for option in options if option not in text]
    assert seen > 5 and not missing, "\n".join(missing)


def test_the_paths_of_the_admin_endpoint_that_documents_ask_for_exist():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files(".cc", under=SRC / "admin"))
    known = set(re.findall(r'"(/[a-z.]*)"', sources))
    asked = {}
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for path in re.findall(r"(?:127\.0\.0\.1:9464|`(?:GET|POST) |//headgate)(/[a-z.]*)", text):
            asked[path] = shown(document)
    assert len(asked) > 5 and not {path: page for path, page in asked.items() if path not in known}
