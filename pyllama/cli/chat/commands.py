"""The slash commands of a chat."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyllama.cli.chat.conversation import Conversation, plain_text
from pyllama.cli.schema import read_schema
from pyllama.errors import ConfigError
from pyllama.params import GenerationParams

if TYPE_CHECKING:
    from pyllama.cli.chat.state import Chat

# What a chat can change of the options of ``Llama.chat_prompt``, beside the generation parameters.
_CHAT_OPTIONS = ("reasoning_budget", "reasoning_effort")


class Leave(Exception):
    """The person ends the chat."""


@dataclass(frozen=True, slots=True)
class Command:
    """One slash command."""

    usage: str
    help: str
    run: Callable[[Chat, str], None]
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its first word."""
        return self.usage.partition(" ")[0]


def execute(chat: Chat, line: str) -> None:
    """Do what a line that begins with a slash says.

    Raises:
        Leave: the chat is to end.
        PyllamaError: there is no such command, or it cannot be done.
    """
    word, _, argument = line.strip().partition(" ")
    command = _BY_NAME.get(word.lower())
    if command is None:
        near = difflib.get_close_matches(word, _BY_NAME, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else "/help lists the commands"
        raise ConfigError(f"there is no command {word}; {hint}")
    command.run(chat, argument.strip())


# ---- the conversation --------------------------------------------------------------------------


def _clear(chat: Chat, _argument: str) -> None:
    chat.conversation.turns.clear()
    chat.attachments.clear()
    chat.notes.line("The conversation begins anew.", "dim")


def _undo(chat: Chat, _argument: str) -> None:
    if not chat.conversation.turns:
        raise ConfigError("nothing was said yet")
    question = chat.conversation.turns.pop().question
    chat.notes.line(f"Forgotten: {_shortened(question)}", "dim")


def _regenerate(chat: Chat, _argument: str) -> None:
    if chat.ask_again() is None:
        raise ConfigError("nothing was asked yet")


def _continue(chat: Chat, _argument: str) -> None:
    if chat.go_on() is None:
        raise ConfigError("nothing was answered yet")


def _history(chat: Chat, _argument: str) -> None:
    for message in chat.conversation.messages():
        chat.notes.line(f"{message['role']}:", "bold")
        content = message["content"]
        n_files = 0 if isinstance(content, str) else len(content) - 1
        if n_files:
            chat.notes.line(f"[{n_files} file{'' if n_files == 1 else 's'}]", "dim")
        chat.notes.line(plain_text(content))


def _system(chat: Chat, argument: str) -> None:
    if argument:
        chat.conversation.system = "" if argument == "off" else argument
    chat.notes.line(f"System prompt: {chat.conversation.system or 'none'}", "dim")


def _save(chat: Chat, argument: str) -> None:
    path = _path(argument)
    chat.conversation.save(path, chat.llm.info.id)
    chat.notes.line(f"Saved to {path}.", "dim")


def _load(chat: Chat, argument: str) -> None:
    chat.conversation = Conversation.load(_path(argument))
    n_turns = len(chat.conversation.turns)
    chat.notes.line(f"Loaded {n_turns} question{'' if n_turns == 1 else 's'}.", "dim")


def _attach(chat: Chat, argument: str) -> None:
    if argument:
        chat.attach(str(_path(argument)))
    names = ", ".join(item.summary for item in chat.attachments)
    chat.notes.line(f"For the next question: {names or 'nothing'}", "dim")


def _detach(chat: Chat, _argument: str) -> None:
    chat.attachments.clear()
    chat.notes.line("Nothing is attached.", "dim")


# ---- how answers are made ----------------------------------------------------------------------


def _set(chat: Chat, argument: str) -> None:
    name, _, text = argument.partition(" ")
    if not text.strip():
        raise ConfigError(f"a name and a value, please: {_BY_NAME['/set'].usage}")
    value = _value(text.strip())
    if name in _CHAT_OPTIONS:
        chat.options[name] = value
    else:
        chat.params = chat.params.with_options(**{name: value})
    chat.notes.line(f"{name} = {json.dumps(value)}", "dim")


def _format(chat: Chat, argument: str) -> None:
    if argument == "off":
        chat.options.pop("json_schema", None)
    elif argument == "json":
        chat.options["json_schema"] = {"type": "object"}
    elif argument:
        chat.options["json_schema"] = read_schema(str(_path(argument)))
    form = json.dumps(chat.options.get("json_schema", "any"))
    chat.notes.line(f"Form of the answers: {_shortened(form)}", "dim")


def _think(chat: Chat, argument: str) -> None:
    if argument not in {"on", "off", "auto"}:
        raise ConfigError(f"usage: {_BY_NAME['/think'].usage}")
    chat.options["enable_thinking"] = {"on": True, "off": False, "auto": None}[argument]
    chat.notes.line(f"Thinking: {argument}", "dim")


def _verbose(chat: Chat, argument: str) -> None:
    if argument not in {"on", "off", ""}:
        raise ConfigError(f"usage: {_BY_NAME['/verbose'].usage}")
    chat.is_verbose = not chat.is_verbose if not argument else argument == "on"
    chat.notes.line(f"Figures after each answer: {'on' if chat.is_verbose else 'off'}", "dim")


# ---- what there is -----------------------------------------------------------------------------


def _show(chat: Chat, _argument: str) -> None:
    info, plain = chat.llm.info, GenerationParams().as_dict()
    chosen = {name: value for name, value in chat.params.as_dict().items() if value != plain[name]}
    chosen |= {name: value for name, value in chat.options.items() if value is not None}
    lines = [
        f"model       {info.id}: {info.description}, {info.n_params / 1e6:.0f} M parameters",
        f"file        {info.path}",
        f"context     {chat.llm.n_ctx} tokens (trained with {info.n_ctx_train})",
        f"system      {chat.conversation.system or 'none'}",
        f"said        {len(chat.conversation.turns)} questions and answers",
        f"attached    {', '.join(item.summary for item in chat.attachments) or 'nothing'}",
        *(f"set         {name} = {json.dumps(value)}" for name, value in sorted(chosen.items())),
    ]
    for line in lines:
        chat.notes.line(line, "dim")


def _stats(chat: Chat, _argument: str) -> None:
    if chat.last is None:
        raise ConfigError("nothing was answered yet")
    chat.notes.line(chat.last.stats, "dim")


def _help(chat: Chat, _argument: str) -> None:
    width = max(len(command.usage) for command in COMMANDS)
    for command in COMMANDS:
        chat.notes.line(f"{command.usage:<{width}}  {command.help}")
    chat.notes.line(
        'Alt+Enter begins a new line, as does Enter between """ and """. Ctrl-C stops an answer; '
        "twice at the prompt, or Ctrl-D, it leaves.",
        "dim",
    )


def _bye(_chat: Chat, _argument: str) -> None:
    raise Leave


# ---- helpers -----------------------------------------------------------------------------------


def _path(argument: str) -> Path:
    """Return a path as it was typed or pasted: with quotes or backslashes, or plainly."""
    if not argument:
        raise ConfigError("name a file")
    try:
        if Path(argument).exists():
            return Path(argument)
        words = shlex.split(argument)
        return Path(words[0] if len(words) == 1 else argument).expanduser()
    except (OSError, ValueError, RuntimeError):
        return Path(argument)


def _value(text: str) -> Any:
    """Return what a value means: JSON where it is JSON, else a text."""
    words = {"on": True, "off": False, "none": None}
    if text in words:
        return words[text]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 72 else f"{line[:70]} …"


COMMANDS = (
    Command("/help", "this list", _help, ("/?",)),
    Command(
        "/clear", "forget the conversation, keep the system prompt", _clear, ("/new", "/reset")
    ),
    Command("/undo", "forget the last question and its answer", _undo),
    Command("/regenerate", "answer the last question once more", _regenerate, ("/retry",)),
    Command("/continue", "go on with an answer that was stopped", _continue, ("/more",)),
    Command("/history", "what was said", _history),
    Command("/system [TEXT|off]", "show or set the system prompt", _system),
    Command(
        "/attach [FILE]",
        "put a text, a picture, sound or video into the next question",
        _attach,
        ("/file", "/image", "/audio", "/video"),
    ),
    Command("/detach", "attach nothing", _detach),
    Command("/save FILE", "save the conversation", _save),
    Command("/load FILE", "go on with a saved conversation", _load),
    Command("/set NAME VALUE", "e.g. /set temperature 0.7, /set max_tokens 100", _set),
    Command("/think on|off|auto", "whether the model may think first", _think),
    Command("/format json|FILE|off", "answer in JSON; FILE holds a JSON schema", _format),
    Command("/show", "the model and what is set", _show, ("/info",)),
    Command("/stats", "counts and durations of the last answer", _stats),
    Command("/verbose [on|off]", "the same after each answer", _verbose),
    Command("/bye", "leave", _bye, ("/exit", "/quit")),
)
_BY_NAME = {name: item for item in COMMANDS for name in (item.name, *item.aliases)}
