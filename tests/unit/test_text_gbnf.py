"""Grammars: what is read, what is refused before llama.cpp would abort or hang on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.text import gbnf

DOUBLING = "\n".join(f"a{i} ::= a{i + 1} | a{i + 1}" for i in range(60)) + '\na60 ::= "x"\n'
CHAIN = "\n".join(f"a{i} ::= a{i + 1}" for i in range(3000)) + '\na3000 ::= "x"\n'


@pytest.mark.parametrize(
    "text",
    [
        'root ::= "yes" | "no"',
        'root ::= ("a" | [^b-d\\]] | .)* # comment\n',
        "root ::= item{2,3} item{4} item{0,} item+\nitem ::= [0-9]",
        'root ::= "a" |\n  "b"\n\nother ::= "c"\r\n',
        'root ::= ("a"?)* "\\x41\\u00e9\\U0001F600"',
        "root ::= <|im_end|> !<[5]> | root-2\nroot-2 ::= [\\t]",
        'root ::= "" | (\n "a" )\n',
        'root ::= "(" root ")" | "x"',
    ],
)
def test_gbnf_is_read(text: str) -> None:
    """What llama.cpp's notation allows is taken."""
    gbnf.check(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no rule named root"),
        ('x ::= "a"', "no rule named root"),
        ("root ::= x", "refers to x"),
        ('root ::= "a', "cannot be read"),
        ('root ::= "a" }', "cannot be read"),
        ('root ::= ("a"', r"expected \), not end"),
        ("root ::= *", "repeats nothing"),
        ('root "a"', "expected define"),
        ('root ::= "\\q"', "cannot be read"),
        ("root ::= a_b", "cannot be read"),
        ('root ::= "a\0"', "NUL"),
        ('root ::= "a"{3,2}', "wrong way round"),
        ('root ::= "a"{3000}', "more than 2000"),
        ('root ::= "a"{99999999999999999999}', "out of bounds"),
        ('root ::= root "a" | "a"', "left recursion"),
        ('root ::= b root "z" | "x"\nb ::= c\nc ::= ""', "left recursion"),
        ("root ::= " + "(" * 5000 + '"a"' + ")" * 5000, "nest deeper"),
        (DOUBLING + "root ::= a0", "more than 2000 ways"),
        (CHAIN + "root ::= a0", "chain of more than"),
        ("root ::= " + " | ".join(f'"{i}"' for i in range(5000)), "more than 2000 ways"),
        ("root ::= " + "x{1000} " * 300 + '\nx ::= "a"', "more than 200000"),
        ('root ::= "a"' + "{2000}" * 2000, "more than 200000"),
        ('root ::= "' + "a" * gbnf.MAX_CHARS + '"', "characters"),
    ],
)
def test_what_llama_cpp_cannot_take_is_refused_at_once(text: str, reason: str) -> None:
    """The error says why; the hostile ones would take minutes, or the process, otherwise."""
    with pytest.raises(gbnf.GrammarError, match=reason):
        gbnf.check(text)


@given(st.text(alphabet='rot:= "a|()[]*+?{}0,2\n\\<>!.#-', max_size=60))
def test_any_text_is_a_grammar_or_an_error(text: str) -> None:
    """No text makes anything but a GrammarError."""
    try:
        gbnf.check("root ::= " + text)
    except gbnf.GrammarError:
        return
    assert "root" in gbnf.read("root ::= " + text).alternatives


def test_a_prefix_goes_to_rules_alone() -> None:
    """Names in literals, classes, tokens and comments stay as they are."""
    text = 'root ::= "root" [root] x{2,3} <root> # root\nx ::= "x"'
    assert gbnf.prefixed(text, "p-") == (
        'p-root ::= "root" [root] p-x{2,3} <root> # root\np-x ::= "x"'
    )


def test_a_union_keeps_the_rules_of_its_parts_apart() -> None:
    """Rules of one name in two grammars do not meet."""
    both = gbnf.union(['root ::= x\nx ::= "1"', 'root ::= x\nx ::= "2"'])
    gbnf.check(both)
    assert both.startswith("root ::= part0-root | part1-root\n")
    assert gbnf.union(["root ::= x"]) == "root ::= x"


def test_a_rule_can_be_redefined() -> None:
    """Only the rule of just that name changes."""
    text = gbnf.redefined('root ::= x\nx ::= "1"\nx1 ::= "2"', {"x": "y \\1"})
    assert text == 'root ::= x\nx ::= y \\1\nx1 ::= "2"\n'


@pytest.mark.parametrize("ways", [" | ".join, " ".join])
def test_rules_that_may_be_empty_are_found_at_once(ways: Callable[[list[str]], str]) -> None:
    """To check a grammar takes no more than in proportion to its length, however its rules hang."""
    n_rules = 5000
    users = ways([f'a{index} "x"' for index in range(n_rules)])
    text = f"root ::= {users}\n" + "".join(f'a{index} ::= ""\n' for index in range(n_rules))
    start_s = time.thread_time()
    gbnf.read(text)
    read_s = time.thread_time() - start_s
    with suppress(gbnf.GrammarError):
        gbnf.check(text)
    assert time.thread_time() - start_s < 100 * read_s
