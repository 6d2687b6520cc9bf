"""Words and constructs that names and texts may not have."""

import re

from source_tree import ROOT, SRC, findings, shown, sources, text_files

THIS = "tests/lint/test_words.py"


def texts():
    return [path for path in text_files() if shown(path) != THIS]


def cpp():
    return [path for path in texts() if path.suffix in (".h", ".cc")]


def test_a_file_is_named_for_what_it_is():
    vague = re.compile(r"(^|_)(utils?|common|managers?|handlers?|impl|helpers?|misc)(_|\.|$)")
    wrong = [shown(path) for path in texts() if vague.search(path.name)]
    assert not wrong, "\n".join(wrong)


def test_file_names_are_snake_case():
    wrong = [shown(path) for path in sources() if not re.fullmatch(r"[a-z][a-z0-9_]*\.(h|cc)", path.name)]
    assert not wrong, "\n".join(wrong)


def test_work_to_be_done_is_not_noted_in_the_sources():
    wrong = findings(r"\b(TODO|FIXME|XXX|HACK)\b", texts())
    assert not wrong, "\n".join(wrong)


def test_no_path_of_one_machine_is_in_the_sources():
    wrong = findings(r"(?<![\w.])/(work|tmp/w|home/\w+|root)/", texts())
    assert not wrong, "\n".join(wrong)


def test_the_two_sides_are_called_client_and_backend():
    # The import of nginx reads its `upstream`.
    own = [path for path in sources() if "nginx" not in path.name]
    wrong = findings(r"(up|down)stream", own, re.IGNORECASE)
    assert not wrong, "\n".join(wrong)


def test_what_is_allocated_has_an_owner_at_once():
    """`new` stands only where make_unique cannot: for a private constructor, straight into its owner."""
    wrong = []
    for path in sources():
        text = re.sub(r"//.*|\"[^\"\n]*\"", "", path.read_text(encoding="utf-8"))
        owned = re.sub(r"(unique_ptr<[^;]*|shared_ptr<[^;]*|reset)\(\s*new ", "(", text)
        if re.search(r"\bnew [A-Za-z_:]+[({<;\[]|\bdelete [a-z*]", owned):
            wrong.append(shown(path))
    assert not wrong, "\n".join(wrong)


def test_nothing_is_thrown():
    wrong = findings(r"^\s*throw\b", sources())
    assert not wrong, "\n".join(wrong)


def test_functions_hold_no_preprocessor_conditions():
    wrong = findings(r"^\s*#\s*if(n?def)?\b(?!.*__cplusplus)", sources())
    assert not wrong, "two files, and CMake chooses:\n" + "\n".join(wrong)


def test_accessors_are_not_called_get():
    wrong = findings(r"^\s+\[\[nodiscard\]\].*\bget_\w+\(\) const", [p for p in sources() if p.suffix == ".h"])
    assert not wrong, "\n".join(wrong)


def test_everything_is_in_the_namespace_of_the_project():
    wrong = [
        shown(path)
        for path in sources()
        if path.parent != SRC and "namespace headgate" not in path.read_text(encoding="utf-8")
    ]
    assert not wrong, "\n".join(wrong)


def test_lines_end_plainly():
    wrong = findings(r"[ \t\r]$", [path for path in texts() if path.suffix not in (".md", ".pem")])
    assert not wrong, "\n".join(wrong)


def test_the_licence_is_there():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
