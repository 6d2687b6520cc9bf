"""docs/configuration.md has each key of the schema once, with its default and the values that it takes."""

import re
from collections import Counter

import pytest

from configuration_reference import BOUNDED, KINDS, SCHEMA, default_cell, keys_and_maps, rows

KEYS, MAPS = keys_and_maps()
ROWS = {row.path: row for row in rows()}
# An entry of by_name has the keys of client_auth: its own rows would say the same again.
RULES = "listeners[].tls.client_auth."
REPEATED = {path for path in KEYS if path.startswith(f"{RULES}by_name[].") and not path.endswith(".sni")}
# The page says in which case the key must be given, or who decides.
IN_WORDS = re.compile(r"[A-Za-z].*")


def test_the_page_has_a_row_for_each_key():
    assert len(KEYS) > 100
    assert not set(KEYS) - set(ROWS) - REPEATED
    assert not set(ROWS) - set(KEYS) - set(MAPS), "rows of keys that do not exist"
    assert not [path for path, count in Counter(row.path for row in rows()).items() if count > 1]


def test_the_keys_that_the_page_does_not_repeat_are_those_of_client_auth():
    """The one difference: `ca`, which is required under the same condition."""
    assert REPEATED
    for path in REPEATED:
        assert KEYS[path] == KEYS[path.replace("by_name[].", "")], path


@pytest.mark.parametrize("path", sorted(set(KEYS) & set(ROWS)))
def test_a_row_has_the_default_and_the_values_of_its_key(path):
    row, key = ROWS[path], KEYS[path]
    assert row.takes == key.takes
    if key.default is None:
        assert row.default == "required"
    elif (default := default_cell(key.default)) is None:
        assert row.default == "`[]`" or IN_WORDS.fullmatch(row.default), f"{row.default}: the default is empty"
    else:
        assert row.default == default


@pytest.mark.parametrize("path", sorted(set(MAPS) & set(ROWS) - set(KEYS)))
def test_a_row_of_a_map_says_that_it_is_one(path):
    assert ROWS[path].takes == MAPS[path]


@pytest.mark.parametrize("path", sorted(ROWS))
def test_a_row_says_what_its_key_means(path):
    assert len(ROWS[path].meaning) > 5


@pytest.mark.parametrize("kind", sorted(set(SCHEMA["$defs"]) & set(BOUNDED)))
def test_the_bounds_of_a_duration_are_those_of_the_schema(kind):
    pattern = SCHEMA["$defs"][kind]["pattern"]
    first, last = BOUNDED[kind]
    beyond = re.sub(r"\d+", lambda number: str(int(number[0]) + 1), last)
    assert re.search(pattern, first) and re.search(pattern, last)
    assert not re.search(pattern, "0s") and not re.search(pattern, "999ms") and not re.search(pattern, beyond)


def test_each_kind_of_value_has_a_name():
    assert set(SCHEMA["$defs"]) == set(KINDS) | set(BOUNDED)
