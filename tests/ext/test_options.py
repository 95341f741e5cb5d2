"""llama.cpp's option table and its values; nothing in it ends the process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from pyllama._ext.options import Options, option_table
from pyllama.errors import ConfigError

# Their handlers print, exit, or change the log of the whole process.
FOR_PROGRAMS = {
    "--help",
    "--version",
    "--completion-bash",
    "--cache-list",
    "--list-devices",
    "--verbose",
    "--verbosity",
    "--log-disable",
    "--log-file",
    "--log-jsonl",
    "--log-colors",
    "--log-prefix",
    "--log-timestamps",
    "--log-prompts-dir",
}


def values(*options: tuple[str, ...]) -> dict[str, Any]:
    """Apply options and read the values back."""
    one = Options()
    for option in options:
        one.set(*option)
    one.finish()
    return one.values()


def test_the_table_is_complete_and_consistent() -> None:
    """Each row has spellings, a kind and a help text, and no spelling means two things."""
    table = option_table()
    assert len(table) > 200
    assert {row["kind"] for row in table} == {"flag", "bool", "int", "string", "pair"}
    spellings = [arg for row in table for arg in row["args"] + row["args_neg"]]
    assert len(spellings) == len(set(spellings))
    assert all(arg.startswith("-") for arg in spellings)
    assert all(row["args"] and row["help"] for row in table)
    (row,) = (row for row in table if "--ctx-size" in row["args"])
    assert row["args"] == ["-c", "--ctx-size"]
    assert (row["env"], row["kind"], row["hint"]) == ("LLAMA_ARG_CTX_SIZE", "int", "N")


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        (("-c", "8192"), "n_ctx", 8192),
        (("--ctx-size", "8192"), "n_ctx", 8192),
        (("--parallel", "3"), "n_parallel", 3),
        (("--no-kv-unified",), "kv_unified", False),
        (("--kv-unified",), "kv_unified", True),
        (("--model", "a/b c.gguf"), "model_path", "a/b c.gguf"),
        (("--model", "\udcff.gguf"), "model_path", "\ufffd.gguf"),
        (("--port", "5006"), "port", 5006),
        (("--jinja",), "use_jinja", True),
        (("--no-jinja",), "use_jinja", False),
        (("--alias", "x"), "aliases", ["x"]),
    ],
)
def test_an_option_is_read_back(option: tuple[str, ...], name: str, value: object) -> None:
    """What is set by any spelling is what values() shows."""
    assert values(option)[name] == value


def test_sampling_options_are_read_back() -> None:
    """Sampling values stand together; an unset seed is -1."""
    sampling = values(("--temp", "0.25"), ("--top-k", "7"))["sampling"]
    assert sampling["temperature"] == pytest.approx(0.25)
    assert sampling["top_k"] == 7
    assert sampling["seed"] == -1


def test_the_last_one_wins() -> None:
    """An option that is set twice has its last value."""
    assert values(("-c", "1"), ("--ctx-size", "2"))["n_ctx"] == 2


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (("--no-such-thing",), "unknown option --no-such-thing"),
        (("ctx-size", "1"), "unknown option"),
        (("",), "unknown option"),
        (("--ctx-size",), "--ctx-size needs a value"),
        (("--ctx-size", "many"), "needs an integer, not 'many'"),
        (("--ctx-size", "12k"), "needs an integer"),
        (("--ctx-size", "99999999999999999999"), "needs an integer"),
        (("--ctx-size", ""), "needs an integer"),
        (("--ctx-size", "1", "2"), "--ctx-size takes one value"),
        (("--jinja", "yes"), "--jinja takes no value"),
        (("--flash-attn", "perhaps"), "perhaps"),
        (("--temp", "warm"), "--temp"),
        (("--cache-type-k", "q9"), "q9"),
        (("--chat-template-file", "/no/such/file"), "/no/such/file"),
        (("--chat-template-kwargs", "{"), "--chat-template-kwargs"),
        (("--override-kv", "a"), "--override-kv"),
        (("--device", "TPU7"), "--device"),
        (("--ctx-size\0", "1"), "NUL"),
        (("--ctx-size", "1\0"), "NUL"),
        (("--model", "\ud800"), "encoded"),
    ],
)
def test_a_bad_option_is_refused(option: tuple[str, ...], reason: str) -> None:
    """An option that cannot be honoured is a ConfigError that names what is wrong."""
    with pytest.raises(ConfigError, match=reason):
        Options().set(*option)


def test_a_template_that_cannot_be_parsed_is_refused_at_the_end() -> None:
    """finish() checks what depends on several options."""
    options = Options()
    options.set("--jinja")
    options.set("--chat-template", "{% for %}")
    with pytest.raises(ConfigError, match="template"):
        options.finish()


def test_nothing_can_be_set_after_the_end() -> None:
    """finish() may be called again, set() may not."""
    options = Options()
    options.finish()
    options.finish()
    with pytest.raises(RuntimeError, match="finish"):
        options.set("--jinja")


@pytest.mark.parametrize("name", sorted(FOR_PROGRAMS))
def test_options_for_programs_are_refused(name: str) -> None:
    """An option that prints, exits or changes the log is refused under each of its spellings."""
    (row,) = (row for row in option_table() if name in row["args"])
    for spelling in row["args"] + row["args_neg"]:
        with pytest.raises(ConfigError, match="a library does not"):
            Options().set(spelling, *(["1"] if row["kind"] in {"int", "string"} else []))


EVERY_OPTION = """
import sys
from pyllama._ext.options import Options, option_table
from pyllama.errors import ConfigError

for row in option_table():
    for spelling in row["args"] + row["args_neg"]:
        n_values = {"flag": 0, "bool": 0, "pair": 2}.get(row["kind"], 1)
        for value in ("", "0", "-7", "no such thing", "auto"):
            print(spelling, repr(value), file=sys.stderr)
            options = Options()
            try:
                options.set(spelling, *[value] * n_values)
                options.finish()
                options.values()
            except ConfigError:
                pass
print("survived")
"""


def test_no_option_ends_the_process() -> None:
    """Every spelling with odd values is taken or refused, and the process lives."""
    result = subprocess.run(
        [sys.executable, "-c", EVERY_OPTION],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    last = result.stderr.splitlines()[-1] if result.stderr else ""
    assert result.returncode == 0, f"ended at {last}"
    assert result.stdout.endswith("survived\n")
