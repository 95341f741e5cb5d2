"""``pyllama run [REF]``: talk to a model, in a terminal or through pipes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyllama.cli.arguments import CommandParser, read_settings
from pyllama.cli.console import Console
from pyllama.cli.schema import read_schema
from pyllama.errors import ConfigError
from pyllama.hub.reference import KINDS
from pyllama.hub.report import is_terminal, say

if TYPE_CHECKING:
    import argparse

    from pyllama import Llama
    from pyllama.settings import Settings

# One person asks: the whole context is theirs.
_BENEATH = {"LLAMA_ARG_N_PARALLEL": "1"}
_JSON_OBJECT = {"type": "object"}


def run(arguments: Sequence[str]) -> int:
    """Load a model; answer one prompt, or hold a chat; return the exit status.

    Raises:
        PyllamaError: an option is wrong, or the model cannot be had, or an answer failed.
    """
    args, flags = _parser().divide(arguments)
    # Before the model is loaded: what is wrong with them should not take that long to show.
    options = _chat_options(args)
    settings = read_settings(args.ref, flags, os.environ, **_BENEATH)
    # Imported here so that the other commands work where the extension is not built.
    from pyllama.cli.chat.loop import converse  # noqa: PLC0415
    from pyllama.cli.chat.state import Chat  # noqa: PLC0415
    from pyllama.cli.oneshot import answer_once, read_prompt  # noqa: PLC0415

    is_chat = args.prompt is None and sys.stdin.isatty()
    prompt = None if is_chat else read_prompt(args.prompt, args.attach)
    color = False if args.no_color else None
    out, notes = Console(sys.stdout, color=color), Console(sys.stderr, color=color)
    if not args.verbose:
        # To a person who chats, what llama.cpp says beside its errors is noise.
        logging.getLogger("pyllama").addHandler(logging.NullHandler())
    with load(settings) as llm:
        chat = Chat(llm, out, out if out.is_terminal else notes, options=options)
        chat.is_verbose = args.verbose
        if args.system is not None:
            chat.conversation.system = args.system
        for path in args.attach:
            chat.attach(path)
        if prompt is None:
            return converse(chat, keeps_history=not args.no_history)
        chat.notes = notes
        chat.can_go_on = False
        return answer_once(chat, prompt)


def load(settings: Settings) -> Llama:
    """Load the model that the settings name."""
    from pyllama import Llama  # noqa: PLC0415  (needs the extension)

    if is_terminal():
        say(f"loading {settings.model}")
    return Llama.from_settings(settings)


def _chat_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the options say of every answer, by the names of ``Llama.chat_prompt``."""
    options: dict[str, Any] = {}
    if args.json and args.json_schema:
        raise ConfigError("--json and --json-schema exclude each other; give one of them")
    if args.json:
        options["json_schema"] = _JSON_OBJECT
    if args.json_schema:
        options["json_schema"] = read_schema(args.json_schema)
    if args.think is not None:
        options["enable_thinking"] = args.think == "on"
    return options


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="pyllama run",
        usage="pyllama run [REF] [OPTIONS] [FLAGS]",
        description="Chat with a model in the terminal. With --prompt, or with a prompt on "
        "standard input, answer it on standard output and end.",
        epilog="FLAGS are those of `pyllama serve` (--temp 0.7, --max-tokens 100, -c 8192, ...); "
        "with --mmproj the model sees and hears. Unless they say otherwise --parallel is 1, an "
        "answer may take the whole context, and the default model has the system prompt, the "
        "sampling and the limit of 512 tokens that suit it.",
    )
    add = parser.add_argument
    add("ref", metavar="REF", nargs="?", help=f"{KINDS} (default: as serve)")
    add("-p", "--prompt", metavar="TEXT", help="answer this and end")
    add("--system", metavar="TEXT", help="the system prompt; an empty one: none")
    add(
        *("--attach", "--image", "--audio", "--video"),
        metavar="FILE",
        action="append",
        default=[],
        help="put a text, a picture, sound or video into the (first) question, what it is by its "
        "content; - is standard input; repeatable",
    )
    add("--json", action="store_true", help="answer with a JSON object")
    add("--json-schema", metavar="FILE", help="answer with JSON that satisfies this schema")
    add("--think", choices=("on", "off"), help="whether the model may think first")
    add("--verbose", action="store_true", help="show counts and durations of each answer")
    add("--no-color", action="store_true", help="no colours; so does the variable NO_COLOR")
    add("--no-history", action="store_true", help="keep no file of what was typed")
    return parser
