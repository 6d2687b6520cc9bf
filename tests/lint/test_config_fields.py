"""Every key of the configuration does something: each field of config.h is read outside src/config, or by its loader.

The compiler says where a field is used. A copy of config.h marks each field as deprecated, and g++ then warns, with the
field's full name, at each place of its use; so two fields of one name in two structs are not taken for each other.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from source_tree import SRC, shown, sources

HEADER = SRC / "config/config.h"
STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.M | re.S)
FUNCTION = re.compile(r"^  \[\[nodiscard\]\][^{;]*\{\n.*?^  \}\n|^  bool operator==[^;]*;\n", re.M | re.S)
MEMBER = re.compile(r"^  (?=[\w:])([^;]*);", re.M)
WARNING = re.compile(r"^(.+?):(\d+):(\d+): warning: 'headgate::config::(\w+::\w+)' is deprecated", re.M)
# A field that is only written does nothing yet.
WRITTEN = re.compile(r"\w+(\s*=(?!=)|\.(push_back|emplace_back|emplace|assign|insert|clear|resize)\b)")
# These make a configuration out of something else, and use no configuration.
MAKERS = re.compile(r"src/cli/(import|haproxy|demo)")
# The one source of config that acts on what a file says: it follows `include`, and puts in `environment`.
LOADER = SRC / "config/load.cc"
# CMake takes one of these, by the TLS library and its version. None of them uses the configuration.
CHOSEN = re.compile(r"src/tls/(awslc/|(openssl|library)/certificate_compression|openssl/x25519_keys)")

# Fields with one value that can be given: the table of keys refuses every other word by name.
NO_CHOICE = {"Config::key_isolation": "kKeyIsolations"}


def without_comments(text: str) -> str:
    return re.sub(r"//.*", "", text)


def members(body: str) -> list[str]:
    """The declarations of fields in the body of a struct, as they are written."""
    return MEMBER.findall(FUNCTION.sub("", body))


def names(declaration: str) -> list[str]:
    """The names that a declaration such as `std::vector<T> a, b{1}` declares."""
    plain = declaration
    while True:
        shorter = re.sub(r"<[^<>]*>|\{[^{}]*\}|\([^()]*\)", "", plain)
        if shorter == plain:
            break
        plain = shorter
    found = [re.search(r"(\w+)\s*(=.*)?$", part.strip(), re.S) for part in plain.split(",")]
    assert all(found), f"this declaration is not understood: {declaration}"
    return [match.group(1) for match in found]


def fields_of(text: str) -> set[str]:
    """"Struct::field" for every field of every struct."""
    found = set()
    for struct, body in STRUCT.findall(without_comments(text)):
        rest = MEMBER.sub("", FUNCTION.sub("", body)).strip()
        assert not rest, f"struct {struct} has a part that is not understood: {rest}"
        found |= {f"{struct}::{name}" for member in members(body) for name in names(member)}
    return found


def marked(text: str) -> str:
    """config.h with every field deprecated."""

    def mark(struct: re.Match) -> str:
        body = struct.group(0)
        for member in members(struct.group(2)):
            body = body.replace(f"  {member};", f'  [[deprecated("")]] {member};', 1)
        return body

    return STRUCT.sub(mark, without_comments(text))


def candidates(fields: set[str]) -> list[list[Path]]:
    """The sources that name one of the fields, those of a folder together."""
    words = {field.partition("::")[2] for field in fields}
    folders: dict[Path, list[Path]] = {}
    for path in sources():
        place = shown(path)
        if path.suffix != ".cc" or MAKERS.match(place) or CHOSEN.match(place):
            continue
        if path.parent == HEADER.parent and path != LOADER:
            continue
        if set(re.findall(r"(?:\.|->)(\w+)\b", path.read_text(encoding="utf-8"))) & words:
            folders.setdefault(path.parent, []).append(path)
    return list(folders.values())


def joined(paths: list[Path], include: Path) -> Path:
    """One source of those of a folder: the compiler then reads the headers once."""
    source = include / f"{paths[0].parent.name}.cc"
    source.write_text("".join(f'#include "{path}"\n' for path in sorted(paths)), encoding="utf-8")
    return source


def uses(path: Path, include: Path) -> Iterator[tuple[Path, int, int, str]]:
    """Where the compiler meets a field of the marked config.h: file, line, column, "Struct::field"."""
    compiler = subprocess.run(
        ["g++", "-std=c++20", "-fsyntax-only", "-DHEADGATE_VERSION=\"\"", "-I", include, "-I", SRC, "-x", "c++", path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert compiler.returncode == 0, f"the sources of {path.stem} do not compile:\n{compiler.stderr[-3000:]}"
    for file, line, column, field in WARNING.findall(compiler.stderr):
        yield Path(file).resolve(), int(line), int(column), field


def reads(path: Path, include: Path) -> set[str]:
    """The fields that `path`, or a header that it includes, reads outside the folder config or in LOADER."""
    found = set()
    for file, line, column, field in uses(path, include):
        if file.parent.name == "config" and file != LOADER:
            continue
        text = file.read_text(encoding="utf-8").splitlines()[line - 1]
        if not WRITTEN.match(text[column - 1 :]):
            found.add(field)
    return found


def mark_header(text: str, include: Path) -> None:
    (include / "config").mkdir(parents=True)
    (include / "config/config.h").write_text(marked(text), encoding="utf-8")


def fields_never_read(text: str, include: Path) -> set[str]:
    mark_header(text, include)
    fields = fields_of(text)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for found in pool.map(lambda paths: reads(joined(paths, include), include), candidates(fields)):
            fields -= found
    return fields


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
def test_every_field_of_the_configuration_is_read(tmp_path):
    never = fields_never_read(HEADER.read_text(encoding="utf-8"), tmp_path)
    assert never == set(NO_CHOICE)


SMALL_HEADER = """
#include <map>
#include <vector>
namespace headgate::config {
struct Pair {
  std::map<int, int> read, other{{1, 2}};  ///< Two in one declaration.
  std::vector<int>
      written;
  int name = 1;
  [[nodiscard]] bool empty() const {
    return other.empty();
  }
  bool operator==(const Pair&) const = default;
};
struct Twin {
  int name = 0;
};
}  // namespace headgate::config
"""
SMALL_SOURCE = """
#include "config/config.h"
bool use(headgate::config::Pair& pair, const headgate::config::Twin& twin) {
  pair.written.push_back(1);
  pair.name = 2;
  return pair.read.empty() && twin.name == 1;
}
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
def test_a_field_that_is_only_written_or_has_a_read_namesake_is_found(tmp_path):
    mark_header(SMALL_HEADER, tmp_path)
    source = tmp_path / "use.cc"
    source.write_text(SMALL_SOURCE, encoding="utf-8")
    every = {"Pair::read", "Pair::other", "Pair::written", "Pair::name", "Twin::name"}
    assert fields_of(SMALL_HEADER) == every
    assert reads(source, tmp_path) == {"Pair::read", "Twin::name"}


def test_a_field_with_one_value_has_its_others_refused():
    table = (SRC / "config/keys.h").read_text(encoding="utf-8")
    for field, words in NO_CHOICE.items():
        key = field.partition("::")[2]
        assert re.search(rf'visitor\.value\("{key}", \w+\.{key}, {words}\);', table), field
    refuses = {"kKeyIsolations": r'\{"off", false\}, \{"process", true\}\}, "word", 1\)'}
    for words, rest in refuses.items():
        assert re.search(rf"{words}\b[^;]*{rest};", table), f"{words} offers more than one word"
