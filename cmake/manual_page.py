"""Makes a manual page (roff) of a page of docs/, so that both have one text.

    manual_page.py PAGE.md NAME SECTION VERSION DATE > NAME.SECTION

It reads the Markdown that docs/ is written in: headings, paragraphs, lists, tables, code, links. A row of a table becomes a
tagged paragraph: the first cell is the tag, and a cell of a middle column is named by its heading ("default: 10s").
"""

import re
import sys

ABOUT = {
    "headgate": ("TLS terminating proxy", "headgate.yaml(5)"),
    "headgate.yaml": ("configuration of the TLS terminating proxy headgate(1)", "headgate(1)"),
}
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def plain(text: str) -> str:
    """Text in which roff finds no command."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")


def link(found: re.Match) -> str:
    text, target = found.groups()
    file = re.sub(r"^(\.\./)*", "", target.partition("#")[0])
    return text if re.match(r"https?:", target) or not file or file in text else f"{text} ({file})"


def inline(text: str) -> str:
    """Code becomes bold, and what is strong becomes italic."""
    parts = []
    for part in re.split(r"(`[^`]+`|\*\*[^*]+\*\*|(?<![\w*])\*[^*\s][^*]*\*(?![\w*]))", LINK.sub(link, text)):
        if part.startswith("`"):
            parts.append(f"\\fB{plain(part[1:-1])}\\fR")
        elif part.startswith("*") and len(part) > 2:
            parts.append(f"\\fI{plain(part.strip('*'))}\\fR")
        else:
            parts.append(plain(part))
    return "".join(parts)


def lines_of(text: str) -> str:
    """A paragraph as roff reads it: a full stop or an apostrophe at the start of a line would be a command."""
    return "\n".join(re.sub(r"^(?=[.'])", r"\\&", line.strip()) for line in text.splitlines())


def cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def table(rows: list[str]) -> list[str]:
    heading, out = cells(rows[0]), []
    for row in map(cells, rows[2:]):
        notes = [f"{name}: {cell}" for name, cell in zip(heading[1:-1], row[1:-1]) if cell]
        tag = inline(row[0]) + (f" ({inline('; '.join(notes))})" if notes else "")
        out += [".TP", lines_of(tag), lines_of(inline(row[-1])) or "See below."]
    return out


def code(lines: list[str]) -> list[str]:
    return [".PP", ".in +4n", ".EX", *(re.sub(r"^(?=[.'])", r"\\&", plain(line)) for line in lines), ".EE", ".in"]


def heading(line: str) -> list[str]:
    marks, _, text = line.partition(" ")
    name = re.sub(r"[`*]", "", text)
    return [f'.SH "{plain(name.upper())}"'] if len(marks) == 2 else [f'.SS "{plain(name)}"']


def blocks(text: str) -> list[list[str]]:
    """The lines of each heading, list entry, table, piece of code and paragraph."""
    found, block, fenced = [], [], False
    for line in [*text.splitlines(), ""]:
        if line.startswith("```"):
            fenced = not fenced
        if fenced or line.startswith("```") or line.strip():
            starts = re.match(r"(#+|-|\d+\.) ", line) and not fenced and not (block and block[0].startswith("```"))
            if starts and block:
                found.append(block)
                block = []
            block.append(line)
        elif block:
            found.append(block)
            block = []
    return found


def block_as_roff(block: list[str]) -> list[str]:
    first = block[0]
    if first.startswith("#"):
        return heading(first)
    if first.startswith("```"):
        return code(block[1:-1])
    if first.startswith("    "):
        return code([line[4:] for line in block])
    if first.startswith("|"):
        return table(block)
    entry = re.match(r"(-|\d+\.) +", first)
    if entry:
        mark = "\\(bu" if entry[1] == "-" else entry[1]
        return [f".IP {mark} 3", lines_of(inline("\n".join([first[entry.end() :], *block[1:]])))]
    return [".PP", lines_of(inline("\n".join(block)))]


def synopsis(text: str) -> list[str]:
    """The commands in the first table of the page."""
    commands = [cells(row)[0] for row in text.split("\n\n")[1].splitlines()[2:]]
    return [line for command in commands for form in command.split(", ") for line in (".br", inline(form))][1:]


def page(text: str, name: str, section: str, version: str, date: str) -> str:
    about, also = ABOUT[name]
    title, _, body = text.partition("\n")
    if not title.startswith("# "):
        raise SystemExit(f"the page does not begin with its title: {title}")
    out = [f'.TH "{name.upper()}" {section} "{date}" "Headgate {version}" "{title[2:]} of Headgate"']
    out += [".nh", ".SH NAME", f"{name} \\- {about}"]
    out += [".SH SYNOPSIS", *(synopsis(text) if section == "1" else [".B /etc/headgate/headgate.yaml"])]
    out.append(".SH DESCRIPTION")
    for block in blocks(body):
        out += block_as_roff(block)
    out += [".SH SEE ALSO", f".BR {also.replace('(', ' (')},", "the pages in /usr/share/doc/headgate/docs"]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    file, *words = sys.argv[1:]
    with open(file, encoding="utf-8") as markdown:
        sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(page(markdown.read(), *words))
