"""A command's own options and the flags of the server on one command line."""

from __future__ import annotations

import pytest

from pyllama.cli.arguments import CommandParser, read_settings
from pyllama.errors import ConfigError, UnknownOption


@pytest.fixture
def parser() -> CommandParser:
    parser = CommandParser(prog="x")
    parser.add_argument("ref", nargs="?")
    parser.add_argument("-p", "--prompt")
    parser.add_argument("--json", action="store_true")
    return parser


def test_flags_keep_their_values_and_the_rest_is_the_commands_own(parser: CommandParser) -> None:
    """The value of a flag is no positional, wherever the command's own options stand."""
    words = ["-c", "4096", "model", "--json", "--temp=0.5", "-p", "--temp", "-fa", "on", "--jinja"]
    args, flags = parser.divide(words)
    assert (args.ref, args.prompt, args.json) == ("model", "--temp", True)
    assert flags == ["-c", "4096", "--temp=0.5", "-fa", "on", "--jinja"]


def test_pyllamas_own_flags_are_flags_too(parser: CommandParser) -> None:
    """An option beside llama.cpp's table takes its value, its negation takes none."""
    args, flags = parser.divide(["--max_tokens", "5", "--no-tuned", "model"])
    assert args.ref == "model"
    assert flags == ["--max_tokens", "5", "--no-tuned"]


@pytest.mark.parametrize(
    ("word", "near"),
    [("--promt", "--prompt"), ("--max-tokns", "--max-tokens"), ("--ctx-sise", "--ctx-size")],
)
def test_an_unknown_option_names_the_nearest_of_both(
    word: str, near: str, parser: CommandParser
) -> None:
    """Whichever of the two kinds was meant, the error names it."""
    with pytest.raises(UnknownOption, match=near) as caught:
        parser.divide([word, "x"])
    assert word in str(caught.value)


def test_what_was_given_wins_over_what_lies_beneath() -> None:
    """Values beneath the environment hold only where nothing else says otherwise."""
    beneath = {"PYLLAMA_MAX_TOKENS": "7", "LLAMA_ARG_N_PARALLEL": "1"}
    plain = read_settings("a.gguf", [], {}, **beneath)
    assert (plain.model, plain.parallel, plain.generation.max_tokens) == ("a.gguf", 1, 7)
    told = read_settings(None, ["-np", "3"], {"PYLLAMA_MAX_TOKENS": "9"}, **beneath)
    assert (told.parallel, told.generation.max_tokens) == (3, 9)


@pytest.mark.parametrize("flag", ["-m", "--model"])
def test_a_model_named_twice_is_refused(flag: str) -> None:
    """Of two models one would be ignored, so neither is taken."""
    with pytest.raises(ConfigError, match=f"REF and {flag}"):
        read_settings("a.gguf", [flag, "b.gguf"], {})
