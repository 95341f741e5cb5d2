"""Grammars in GBNF, llama.cpp's notation: read, bounded, and put together from parts.

llama.cpp recurses while it reads a grammar and walks every left-most path of it: a few hostile
lines hold a thread for minutes or overflow its stack. So a grammar is read here first, and refused
where a bound is passed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_CHARS = 256 * 1024
MAX_DEPTH = 64
"""Groups within groups."""
MAX_REPEAT = 2000
"""Source: MAX_REPETITION_THRESHOLD in src/llama-grammar.cpp."""
MAX_ELEMENTS = 200_000
"""Elements after repetitions are written out."""
MAX_PATHS = 2000
"""Left-most paths through one rule: what llama.cpp walks, and the states that it keeps."""
MAX_CHAIN = 1000
"""Rules on one left-most path: llama.cpp recurses along it."""

_CHAR = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[tnr\\\"\[\]-])|[^\\]"
_TOKEN = re.compile(
    r"(?P<space>(?:[ \t]|\#[^\r\n]*)+)"
    r"|(?P<newline>\r\n|\r|\n)"
    r"|(?P<define>::=)"
    rf'|(?P<literal>"(?:(?!")(?:{_CHAR}))*")'
    rf"|(?P<range>\[(?:(?!\])(?:{_CHAR}))*\])"
    r"|(?P<token>!?<[^<>\r\n]+>)"
    r"|(?P<repeat>[*+?]|\{[ \t]*\d+[ \t]*(?:,[ \t]*\d*[ \t]*)?\})"
    r"|(?P<name>[A-Za-z0-9-]+)"
    r"|(?P<mark>[()|.])",
    re.DOTALL,
)


class GrammarError(ValueError):
    """A grammar that llama.cpp cannot read, or would read for too long; the text says why."""


@dataclass(slots=True)
class Item:
    """One element of an alternative, with its repetition."""

    rule: str | None
    """The rule that it refers to; None for characters and tokens."""
    n_elements: int
    least: int = 1
    most: int | None = 1
    """None: without bound."""

    @property
    def n_copies(self) -> int:
        """How often llama.cpp writes it out."""
        return max(self.most if self.most is not None else self.least + 1, 1)


@dataclass(slots=True)
class Rules:
    """A grammar as its rules' alternatives, groups being rules of their own."""

    alternatives: dict[str, list[list[Item]]] = field(default_factory=dict)


def read(text: str) -> Rules:
    """Return the rules of a grammar.

    Raises:
        GrammarError: it is no GBNF, or passes a bound.
    """
    if len(text) > MAX_CHARS:
        raise GrammarError(f"it has {len(text)} characters, more than {MAX_CHARS}")
    if "\0" in text:
        raise GrammarError("it holds a NUL character")
    return _Reader(text).rules()


class _Reader:
    """Recursive descent with a bound; positions are reported as lines."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._at = 0
        self._rules = Rules()
        self._n_groups = 0

    def rules(self) -> Rules:
        self._skip_newlines()
        while self._kind != "end":
            name = self._take("name")
            self._take("define")
            self._skip_newlines()
            self._rules.alternatives[name] = self._alternatives(name, 0)
            if self._kind != "end":
                self._take("newline")
            self._skip_newlines()
        self._check_names()
        return self._rules

    def _split(self) -> list[tuple[str, str, int]]:
        tokens = []
        at = 0
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            if match is None:
                near = self._text[at : at + 20].split("\n")[0]
                raise GrammarError(f"line {self._line(at)}: {near!r} cannot be read")
            at = match.end()
            kind = match.lastgroup or ""
            if kind != "space":
                tokens.append((kind, match[0], match.start()))
        tokens.append(("end", "", len(self._text)))
        return tokens

    def _line(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _value(self) -> str:
        return self._tokens[self._at][1]

    def _take(self, kind: str, value: str | None = None) -> str:
        found, text, at = self._tokens[self._at]
        if found != kind or (value is not None and text != value):
            what = repr(text) if text.strip() else found
            raise GrammarError(f"line {self._line(at)}: expected {value or kind}, not {what}")
        self._at += 1
        return text

    def _skip_newlines(self) -> None:
        while self._kind == "newline":
            self._at += 1

    def _alternatives(self, name: str, depth: int) -> list[list[Item]]:
        if depth > MAX_DEPTH:
            raise GrammarError(f"groups nest deeper than {MAX_DEPTH}")
        found = [self._sequence(name, depth)]
        while self._kind == "mark" and self._value == "|":
            self._at += 1
            self._skip_newlines()
            found.append(self._sequence(name, depth))
        return found

    def _sequence(self, name: str, depth: int) -> list[Item]:
        items: list[Item] = []
        while True:
            if depth:
                self._skip_newlines()
            kind, value = self._kind, self._value
            if kind == "repeat":
                if not items:
                    raise GrammarError(f"{value} repeats nothing in rule {name}")
                self._repeat(items, value, name)
                self._at += 1
            elif kind in {"literal", "range", "token", "name"} or value in {"(", "."}:
                items.append(self._item(name, depth))
            else:
                return items

    def _item(self, name: str, depth: int) -> Item:
        kind, value = self._kind, self._value
        self._at += 1
        if kind == "name":
            return Item(value, 1)
        if value == "(":
            group = f"{name}({self._n_groups})"
            self._n_groups += 1
            # Where a bound is passed inside, the groups around it are not of interest any more.
            self._rules.alternatives[group] = []
            self._rules.alternatives[group] = self._alternatives(name, depth + 1)
            self._take("mark", ")")
            return Item(group, 1)
        n_elements = len(value) - 2 if kind in {"literal", "range"} else 1
        # An empty literal is a rule that may be empty.
        return Item(None, n_elements, least=min(n_elements, 1))

    def _repeat(self, items: list[Item], value: str, name: str) -> None:
        least, most = _bounds(value)
        if least > MAX_REPEAT:
            raise GrammarError(f"{value} in rule {name} repeats more than {MAX_REPEAT} times")
        if most is not None and most < least:
            raise GrammarError(f"{value} in rule {name} has its bounds the wrong way round")
        # As llama.cpp does: what is more than the threshold counts as without bound.
        most = None if most is None or most > MAX_REPEAT else most
        item = items[-1]
        if (item.least, item.most) != (1, 1):
            group = f"{name}({self._n_groups})"
            self._n_groups += 1
            self._rules.alternatives[group] = [[item]]
            item = items[-1] = Item(group, item.n_elements * item.n_copies)
        item.least, item.most = least, most

    def _check_names(self) -> None:
        names = self._rules.alternatives
        if "root" not in names:
            raise GrammarError("it has no rule named root")
        for name, alternatives in names.items():
            for item in (item for items in alternatives for item in items):
                if item.rule is not None and item.rule not in names:
                    raise GrammarError(
                        f"rule {name.split('(')[0]} refers to {item.rule}, which is missing"
                    )


def _bounds(value: str) -> tuple[int, int | None]:
    simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
    if value in simple:
        return simple[value]
    least, comma, most = value.strip("{}").partition(",")
    if len(least.strip()) > 9 or len(most.strip()) > 9:
        raise GrammarError(f"{value} is out of bounds")
    if not comma:
        return int(least), int(least)
    return int(least), int(most) if most.strip() else None


# ---- what llama.cpp would walk ------------------------------------------------------------------


def check(text: str) -> None:
    """Refuse a grammar that llama.cpp cannot read, or would read for too long.

    Raises:
        GrammarError: it is no GBNF, refers to itself at its left end, or passes a bound.
    """
    rules = read(text).alternatives
    n_elements = sum(
        item.n_elements * item.n_copies
        for alternatives in rules.values()
        for items in alternatives
        for item in items
    )
    if n_elements > MAX_ELEMENTS:
        # How many, may be a number too long to be written down.
        raise GrammarError(f"it has more than {MAX_ELEMENTS} elements")
    empty = _may_be_empty(rules)
    _check_paths(rules, {name: _first_rules(rules[name], empty) for name in rules}, empty)


def _may_be_empty(rules: dict[str, list[list[Item]]]) -> set[str]:
    """Return the rules that may match nothing; each item is looked at twice at most."""
    owners: list[str] = []
    # Of each alternative: how many of its items must match something, for all that is known.
    n_full: list[int] = []
    users: dict[str, list[int]] = {}
    for name, alternatives in rules.items():
        for items in alternatives:
            full = [item for item in items if item.least > 0]
            for item in full:
                if item.rule is not None:
                    users.setdefault(item.rule, []).append(len(n_full))
            owners.append(name)
            n_full.append(len(full))
    empty: set[str] = set()
    waiting = [name for name, n_items in zip(owners, n_full, strict=True) if not n_items]
    while waiting:
        name = waiting.pop()
        if name in empty:
            continue
        empty.add(name)
        for index in users.get(name, ()):
            n_full[index] -= 1
            if not n_full[index]:
                waiting.append(owners[index])
    return empty


def _is_empty(item: Item, empty: set[str]) -> bool:
    return item.least == 0 or item.rule in empty


def _first_rules(alternatives: list[list[Item]], empty: set[str]) -> list[tuple[str, int]]:
    """Return the rules at the left end, and how many copies of each stand there."""
    found = []
    for items in alternatives:
        for item in items:
            if item.rule is not None:
                found.append((item.rule, item.n_copies if item.rule in empty else 1))
            if not _is_empty(item, empty):
                break
    return found


def _check_paths(
    rules: dict[str, list[list[Item]]],
    firsts: dict[str, list[tuple[str, int]]],
    empty: set[str],
) -> None:
    """Walk the left ends depth first, without recursion; count paths and measure chains."""
    paths: dict[str, int] = {}
    chains: dict[str, int] = {}
    open_rules: set[str] = set()
    for start in rules:
        waiting = [(start, False)]
        while waiting:
            name, is_done = waiting.pop()
            if is_done:
                open_rules.discard(name)
                children = [child for child in firsts[name] if child[0] in paths]
                own = sum(_n_starts(items, empty) for items in rules[name])
                paths[name] = own + sum(paths[child] * copies for child, copies in children)
                chains[name] = 1 + max(
                    (chains[child] + copies for child, copies in children), default=0
                )
                _check_bounds(name, paths[name], chains[name])
            elif name in open_rules:
                raise GrammarError(f"rule {name.split('(')[0]} begins with itself (left recursion)")
            elif name not in paths:
                open_rules.add(name)
                waiting.append((name, True))
                waiting += [(child, False) for child, _ in firsts[name] if child not in paths]


def _n_starts(items: list[Item], empty: set[str]) -> int:
    """Return how many items an alternative can begin with."""
    n_starts = 0
    for item in items:
        n_starts += 1
        if not _is_empty(item, empty):
            break
    return n_starts


def _shown(name: str) -> str:
    """Return the rule that a group is part of."""
    return name.partition("(")[0]


def _check_bounds(name: str, n_paths: int, n_chain: int) -> None:
    rule = _shown(name)
    if n_paths > MAX_PATHS:
        raise GrammarError(f"rule {rule} can begin in more than {MAX_PATHS} ways")
    if n_chain > MAX_CHAIN:
        raise GrammarError(f"rule {rule} begins with a chain of more than {MAX_CHAIN} rules")


# ---- putting together ---------------------------------------------------------------------------


def prefixed(text: str, prefix: str) -> str:
    """Return a grammar whose rules all have a prefix: ``root`` becomes ``<prefix>root``."""
    return _TOKEN.sub(lambda m: prefix + m[0] if m.lastgroup == "name" else m[0], text)


def union(grammars: list[str]) -> str:
    """Return a grammar that takes what any of the grammars takes."""
    if len(grammars) == 1:
        return grammars[0]
    prefixes = [f"part{index}-" for index in range(len(grammars))]
    parts = [prefixed(text, prefix) for text, prefix in zip(grammars, prefixes, strict=True)]
    return (
        "root ::= " + " | ".join(f"{prefix}root" for prefix in prefixes) + "\n" + "\n".join(parts)
    )


def redefined(text: str, rules: dict[str, str]) -> str:
    """Return a grammar with other definitions for some of its one-line rules."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        name, is_rule, _ = line.partition(" ::= ")
        if is_rule and name in rules:
            lines[index] = f"{name} ::= {rules[name]}"
    return "\n".join(lines) + "\n"
