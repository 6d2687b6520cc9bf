"""The tables of docs/configuration.md beside the schema, which a unit test holds to the table of keys in src/config/keys.h."""

import json
import re
from typing import NamedTuple

from source_tree import ROOT

SCHEMA = json.loads((ROOT / "config/headgate.schema.json").read_text(encoding="utf-8"))
PAGE = ROOT / "docs/configuration.md"

# What a value of each kind of the schema's definitions is called in the column "takes".
KINDS = {
    "text": "text",
    "path": "a path",
    "include_path": "a path",
    "variable_pattern": "a name, or its beginning with `*`",
    "wire_bytes": "text, or `hex:` and digits",
    "duration": "a duration",
    "timeout": "a duration above `0s`",
    "whole_seconds": "whole seconds, above `0s`",
    "size": "a size, or `0`",
    "switch": "`on`, `off`",
    "tls_version": '`"1.2"`, `"1.3"`',
    "label": "a name",
    "optional_label": "a name",
    "workers": "`auto`, or 1 to 1024",
    "cpu_range": "a CPU, or a range",
    "bind_address": "an address",
    "file_mode": "octal digits",
    "admin_bind": "an address, or `off`",
    "server_address": "an address",
    "network": "a network",
    "name_pattern": "a name pattern",
    "route_pattern": 'a name pattern, or `"*"`',
    "host_pattern": "a name pattern, or an IP address",
    "alpn": "a protocol",
    "backend_alpn": "a protocol, or `$alpn`",
    "server_name": "a name, an IP address, or `$sni`",
    "source_address": "an IP address, or `client`",
    "vpc_endpoint": "`vpce-` and an ID",
    "link_number_32": "a number of 32 bits",
    "link_number_64": "a number of 64 bits",
    "spiffe_pattern": "a SPIFFE ID, `*` in it",
    "glob": "text, `*` in it",
    "subject_name": "text",
    "fingerprint": "64 hexadecimal digits",
    "group": "a group",
    "cipher_suite": "a suite",
    "ciphers": "an OpenSSL list",
    "share": "`1%` to `99%`",
}
# Durations with a first and a last one, which the patterns of the schema have.
BOUNDED = {"ticket_lifetime": ("1s", "168h"), "canary_time": ("1s", "24h")}
LARGEST = 2**32 - 1


class Key(NamedTuple):
    """What the schema says of a key; `default` is None where the key must be given."""

    default: object
    takes: str


def resolved(node: dict) -> dict:
    """The node to which a reference of the schema leads, which is no definition of a kind."""
    while node.get("$ref", "").startswith("#/properties"):
        target = SCHEMA
        for part in node["$ref"].split("/")[1:]:
            target = target[int(part)] if isinstance(target, list) else target[part]
        node = target
    return node


def alternative(node: dict, kind: str) -> dict | None:
    """The node, or the alternative of it, that is a map or a list."""
    choices = [resolved(choice) for choice in [node, *node.get("anyOf", [])]]
    return next((choice for choice in choices if choice.get("type") == kind), None)


def takes(node: dict) -> str:
    """The column "takes" of one value."""
    kind = next((part["$ref"].rpartition("/")[2] for part in [node, *node.get("anyOf", [])] if "$defs" in part.get("$ref", "")), None)
    if "enum" in node:
        return ", ".join(f"`{word}`" for word in node["enum"])
    if node.get("type") == "integer":
        low, high = node["minimum"], node["maximum"]
        return f"{low} to {high}" if high < LARGEST else f"a number from {low}"
    return " to ".join(f"`{bound}`" for bound in BOUNDED[kind]) if kind in BOUNDED else KINDS[kind]


def takes_of_map(node: dict) -> str:
    """The column "takes" of a key that holds other keys."""
    if alternative(node, "array") is None:
        return "a map"
    items = alternative(node, "array")["items"]
    return "text, a map, or a list" if {"type": "string"} in items.get("anyOf", []) else "a list of maps"


def collect(node: dict, path: str, must: bool, keys: dict[str, Key], maps: dict[str, str]) -> None:
    listed = alternative(node, "array")
    items = listed["items"] if listed else node
    inner = alternative(items, "object")
    if inner is None:
        keys[path] = Key(None if must else node["default"], takes(items) + (", or a list" if listed else ""))
        return
    here = path + "[]" if listed else path
    maps[path] = maps[here] = takes_of_map(node)
    if "default" in node and not listed:
        value = next(part for part in node["anyOf"] if "$ref" in part)
        keys[path] = Key(node["default"], takes(value) + ", or a map")
    for name, property_ in inner.get("properties", {}).items():
        collect(property_, f"{here}.{name}".lstrip("."), name in inner.get("required", []), keys, maps)
    if isinstance(inner.get("additionalProperties"), dict) and "default" not in node:
        collect(inner["additionalProperties"], f"{path}.NAME", False, keys, maps)


def keys_and_maps() -> tuple[dict[str, Key], dict[str, str]]:
    """(every key that holds values, by its path as the page writes it; the column "takes" of every key that holds keys)."""
    keys, maps = {}, {}
    collect(SCHEMA, "", False, keys, maps)
    return keys, maps


class Row(NamedTuple):
    """A row of the page: its key's path and its cells behind the key."""

    path: str
    default: str
    takes: str
    meaning: str


def rows() -> list[Row]:
    """Every row of the tables of keys, under the headings of the page."""
    found, prefix = [], ""
    table = False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"#+ (.*)", line):
            named = re.fullmatch(r"`(.*)`", heading[1])
            prefix = named[1] + "." if named else ""
        elif line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]
            if cells[0] == "key":
                table = True
            elif table and not cells[0].startswith("---"):
                found.append(Row(prefix + cells[0].strip("`"), *cells[1:]))
        else:
            table = False
    return found


def default_cell(value: object) -> str | None:
    """The column "default"; None where an empty default has a meaning that the page puts into words."""
    if isinstance(value, list):
        return ", ".join(f"`{one}`" for one in value) or None
    text = str(value)
    return (f'`"{text}"`' if re.fullmatch(r"\d\.\d", text) else f"`{text}`") if text else None
