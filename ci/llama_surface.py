#!/usr/bin/env python3
"""Compare what ext/*.pxd declare with the C headers themselves.

Cython believes a .pxd, and a C compiler converts silently between numbers: a parameter that
llama.cpp widened, or an enum constant that it dropped, is found here. The comparison is by text:
``const``, ``struct``, ``enum`` and names of parameters do not count.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADERS = {
    path.name: path
    for path in (
        ROOT / "vendor/llama.cpp/include/llama.h",
        ROOT / "vendor/llama.cpp/ggml/include/ggml.h",
        ROOT / "vendor/llama.cpp/ggml/include/ggml-backend.h",
        ROOT / "ext/bridge/bridge.h",
    )
}
DECLARATIONS = tuple(ROOT / "ext" / name for name in ("llama.pxd", "ggml.pxd", "bridge.pxd"))

_NOISE = {"const", "struct", "enum", "noexcept", "extern"}
_SPELLINGS = {"bint": "bool", "c_bool": "bool"}
_EXTERN = re.compile(r'^cdef extern from "([^"]+)"')
# `name` or `name "what C calls it"`, with parameters.
_FUNCTION = re.compile(
    r'^(?P<result>[\w *]+?)\b(?P<name>\w+)(?: "(?P<c>\w+)")?\((?P<args>[^()]*)\)'
)
_POINTER = re.compile(r"^ctypedef (?P<result>[\w *]+?)\(\*(?P<name>\w+)\)\((?P<args>[^()]*)\)")
_BLOCK = re.compile(r'^(?:ctypedef )?(?P<kind>struct|enum) (?P<name>\w+)(?: "(?P<c>\w+)")?:$')
_VARIABLE = re.compile(r"^(?P<type>[\w *]+?)\b(?P<name>\w+)$")


@dataclass
class Block:
    """What one `cdef extern from` declares."""

    header: str
    functions: dict[str, str] = field(default_factory=dict)
    """Function or function pointer type, by C's name, to its normalised signature."""
    members: list[tuple[str, str, str]] = field(default_factory=list)
    """(struct or enum, member, normalised type; empty for an enum)."""
    constants: list[str] = field(default_factory=list)
    spellings: dict[str, str] = field(default_factory=dict)
    """Types that have another name in the .pxd."""


def normal_type(text: str, spellings: Mapping[str, str]) -> str:
    """Return a type without what does not count."""
    words = [word for word in re.findall(r"\w+|\*", text) if word not in _NOISE]
    return " ".join(spellings.get(word, word) for word in words)


def signature(result: str, args: str, spellings: Mapping[str, str]) -> str:
    """Return a function's normalised signature, without the names of its parameters."""
    types = []
    for arg in args.split(","):
        words = normal_type(arg, spellings).split()
        if len(words) > 1 and words[-1] != "*":
            words.pop()
        types.append(" ".join(words))
    if types in ([""], ["void"]):
        types = []
    return f"{normal_type(result, spellings)} ({', '.join(types)})"


# ---- the .pxd ----------------------------------------------------------------------------------


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (indentation, line), without comments, a declaration in brackets as one line."""
    pending = ""
    for line in text.splitlines():
        code = line.split("#", 1)[0].rstrip()
        pending = f"{pending} {code.strip()}" if pending else code
        if pending.strip() and pending.count("(") == pending.count(")"):
            yield len(pending) - len(pending.lstrip()), " ".join(pending.split())
            pending = ""


def declared(text: str) -> list[Block]:
    """Read the extern blocks of a .pxd."""
    blocks: list[Block] = []
    owner: tuple[str, str] | None = None
    for indent, line in logical_lines(text):
        if match := _EXTERN.match(line):
            blocks.append(Block(match[1], spellings=dict(_SPELLINGS)))
        elif not blocks or indent == 0:
            continue
        elif match := _BLOCK.match(line):
            owner = (match["kind"], match["c"] or match["name"])
            blocks[-1].spellings[match["name"]] = owner[1]
        elif indent > 4 and owner is not None:
            add_member(blocks[-1], owner, line)
        else:
            owner = None
            add_declaration(blocks[-1], line)
    return blocks


def add_member(block: Block, owner: tuple[str, str], line: str) -> None:
    """Take a line inside of a struct or enum."""
    kind, name = owner
    if kind == "enum":
        block.members.append((name, line, ""))
    elif match := _VARIABLE.match(line):
        block.members.append((name, match["name"], normal_type(match["type"], block.spellings)))


def add_declaration(block: Block, line: str) -> None:
    """Take a line that stands for itself."""
    if match := _POINTER.match(line) or _FUNCTION.match(line):
        name = match.groupdict().get("c") or match["name"]
        block.functions[name] = signature(match["result"], match["args"], block.spellings)
    elif not line.startswith("ctypedef") and (match := _VARIABLE.match(line)):
        block.constants.append(match["name"])


# ---- the header --------------------------------------------------------------------------------


class Header:
    """A C header, to be asked for what it declares."""

    def __init__(self, text: str) -> None:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
        text = re.sub(r"\\\n", " ", text)
        self._macros = set(re.findall(r"^\s*#\s*define\s+(\w+)", text, re.MULTILINE))
        text = re.sub(r"^\s*#.*$", " ", text, flags=re.MULTILINE)
        self._text = re.sub(r"\b(?:[A-Z]+_)*API\b", " ", text)

    def signature(self, name: str) -> str | None:
        """Return the normalised signature of a function or function pointer type."""
        pattern = (
            rf"(?P<result>[\w\s*]*?)(?:\(\s*\*\s*{name}\s*\)|\b{name})\s*\((?P<args>[^()]*)\)\s*;"
        )
        match = re.search(pattern, self._text)
        if match is None:
            return None
        result = match["result"].replace("typedef", " ")
        return signature(result, match["args"], _SPELLINGS)

    def member(self, owner: str, name: str) -> str | None:
        """Return the normalised type of a struct's member, empty for an enum's constant."""
        match = re.search(rf"\b(struct|enum)\s+{owner}\s*\{{([^}}]*)\}}", self._text)
        if match is None:
            return None
        if match[1] == "enum":
            return "" if re.search(rf"\b{name}\b", match[2]) else None
        found = re.search(rf"([\w\s*]+?)\b{name}\s*;", match[2])
        return normal_type(found[1], _SPELLINGS) if found else None

    def has_constant(self, name: str) -> bool:
        """Return whether a macro has this name."""
        return name in self._macros


# ---- the comparison ----------------------------------------------------------------------------


def differences(block: Block, header: Header) -> Iterator[str]:
    """Yield one line for each declaration that the header does not have in this form."""
    for name, wanted in block.functions.items():
        actual = header.signature(name)
        if actual != wanted:
            yield f"{block.header}: {name} is {actual or 'missing'}, declared as {wanted}"
    for owner, name, wanted in block.members:
        actual = header.member(owner, name)
        if actual != wanted:
            yield f"{block.header}: {owner}.{name} is {actual or 'missing'}, declared as {wanted}"
    for name in block.constants:
        if not header.has_constant(name):
            yield f"{block.header}: {name} is missing"


def compare(declarations: str, headers: Mapping[str, str]) -> list[str]:
    """Compare the text of a .pxd with those of headers, by name; other headers are passed over."""
    return [
        line
        for block in declared(declarations)
        if block.header in headers
        for line in differences(block, Header(headers[block.header]))
    ]


def main() -> int:
    """Print the differences; return how the process ends."""
    headers = {name: path.read_text(encoding="utf-8") for name, path in HEADERS.items()}
    found = [
        line for path in DECLARATIONS for line in compare(path.read_text(encoding="utf-8"), headers)
    ]
    print("\n".join(found) or "the declarations agree with the headers")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
