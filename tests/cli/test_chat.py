"""A chat with a fake model: questions, answers, commands, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyllama.cli.attachments import Attachment
from pyllama.cli.chat.commands import COMMANDS, Leave, execute
from pyllama.cli.chat.loop import converse
from pyllama.cli.chat.state import Chat
from pyllama.errors import (
    ConfigError,
    EngineError,
    InvalidMedia,
    InvalidRequest,
    PyllamaError,
    UnknownOption,
)
from pyllama.text.output import OutputDelta
from tests.support import media_files
from tests.support.fake_generation import Step
from tests.support.fake_llama import FakeLlama

Said = Callable[[], str]


class Typist:
    """Types what a test says; an exception is a key."""

    def __init__(self, *inputs: str | type[BaseException]) -> None:
        self._inputs: Iterator[str | type[BaseException]] = iter(inputs)

    def read(self, prompt: str) -> str:
        item = next(self._inputs, EOFError)
        if isinstance(item, str):
            return item
        raise item


def talk(chat: Chat, *inputs: str | type[BaseException]) -> int:
    return converse(chat, keeps_history=False, editor=Typist(*inputs))


def source(llm: FakeLlama, number: int = -1) -> Any:
    """Return the messages of one of the requests."""
    return llm.generations[number].prompt.source


def test_a_conversation_goes_on(chat: Chat, llm: FakeLlama, said: Said) -> None:
    """Each question comes with all that was said before it; the answers are shown."""
    chat.conversation.system = "s"
    assert talk(chat, "a", "", "b") == 0
    assert [message["content"] for message in source(llm)] == ["s", "a", "Hello", "b"]
    assert said().count("Hello\n") == 2


def test_thoughts_are_shown_apart_and_kept_apart(chat: Chat, llm: FakeLlama, said: Said) -> None:
    """Reasoning has lines of its own, and goes back as reasoning."""
    llm.script = [OutputDelta(reasoning="hm"), OutputDelta(content="yes")]
    talk(chat, "a")
    assert "hm\nyes\n" in said()
    assert chat.conversation.messages()[-1]["reasoning_content"] == "hm"


def stopped(script: list[Step], chat: Chat, llm: FakeLlama) -> None:
    """Ask, and press Ctrl-C once the script waits."""
    llm.script = [*script, 60.0, "never"]
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        talk(chat, "a")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_ctrl_c_stops_an_answer_and_keeps_what_was_said(
    chat: Chat, llm: FakeLlama, said: Said
) -> None:
    """The conversation goes on from the part of the answer that was shown."""
    stopped(["Hel"], chat, llm)
    assert llm.generations[-1].was_aborted
    assert [turn.answer for turn in chat.conversation.turns] == ["Hel"]
    assert "Hel\n[stopped]" in said()


def test_an_answer_stopped_before_it_began_was_never_asked_for(
    chat: Chat, llm: FakeLlama, said: Said
) -> None:
    """Without a word of an answer the question is dropped, and that is said."""
    stopped([], chat, llm)
    assert chat.conversation.turns == []
    assert "dropped" in said()


@pytest.mark.parametrize(
    ("inputs", "n_asked"),
    [
        (("a", KeyboardInterrupt, KeyboardInterrupt, "b"), 1),
        (("a", KeyboardInterrupt, "b", KeyboardInterrupt, "c"), 3),
        (("a", EOFError, "b"), 1),
        (("a", "/bye", "b"), 1),
        (("/EXIT", "b"), 0),
    ],
)
def test_ways_to_leave(inputs: tuple[Any, ...], n_asked: int, chat: Chat, llm: FakeLlama) -> None:
    """Ctrl-C twice in a row, Ctrl-D and /bye leave; Ctrl-C once does not."""
    assert talk(chat, *inputs) == 0
    assert len(llm.generations) == n_asked


def test_an_answer_that_was_cut_says_so(chat: Chat, said: Said) -> None:
    """Where max_tokens ends an answer, the person knows the limit, and how to go on."""
    execute(chat, "/set max_tokens 2")
    chat.ask("a")
    assert "[stopped at the limit of 2 tokens; /continue goes on" in said()


def test_a_full_context_is_another_thing_than_the_limit(chat: Chat, said: Said) -> None:
    """Without a limit, an answer that was cut took all there was: it says what makes room."""
    answer = chat.ask("a")
    chat._tell_end(replace(answer, finish_reason="length"))
    assert "[stopped: the context of 4096 tokens is full; /undo and /clear make room" in said()


def test_an_answer_goes_on_from_where_it_was_stopped(chat: Chat, llm: FakeLlama) -> None:
    """/continue adds to the last answer; the model gets what there was of it."""
    with pytest.raises(ConfigError, match="nothing was answered yet"):
        execute(chat, "/continue")
    chat.ask("a")
    llm.script = [" and", " more"]
    execute(chat, "/continue")
    assert source(llm) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "Hello"},
    ]
    assert llm.generations[-1].prompt.options == {"continue_final_message": "content"}
    assert [turn.answer for turn in chat.conversation.turns] == ["Hello and more"]


def test_thoughts_that_were_stopped_go_on(chat: Chat, llm: FakeLlama) -> None:
    """Where there is no word of the answer yet, what is continued are the thoughts."""
    llm.script = [OutputDelta(reasoning="hm")]
    chat.ask("a")
    llm.script = [OutputDelta(reasoning=", so"), OutputDelta(content="yes")]
    execute(chat, "/continue")
    assert llm.generations[-1].prompt.options == {"continue_final_message": "reasoning_content"}
    (turn,) = chat.conversation.turns
    assert (turn.reasoning, turn.answer) == ("hm, so", "yes")


def test_an_answer_that_fails_to_go_on_stays(chat: Chat, llm: FakeLlama) -> None:
    """What there was of it is kept."""
    chat.ask("a")
    llm.script = [EngineError("broken")]
    with pytest.raises(EngineError):
        execute(chat, "/continue")
    assert [turn.answer for turn in chat.conversation.turns] == ["Hello"]


def test_an_error_is_told_and_the_chat_goes_on(chat: Chat, llm: FakeLlama, said: Said) -> None:
    """A failed question is not part of the conversation; the next one works."""
    llm.script = ["x", EngineError("broken")]
    talk(chat, "a", "/nope")
    assert "broken" in said()
    assert "there is no command /nope" in said()
    llm.script = ["y"]
    talk(chat, "b")
    assert [turn.question for turn in chat.conversation.turns] == ["b"]


def test_a_dead_engine_ends_the_chat(chat: Chat, llm: FakeLlama) -> None:
    """When no question can be answered any more, the command fails."""
    llm.start_error, llm.state = EngineError("dead"), "dead"
    with pytest.raises(EngineError):
        talk(chat, "a", "b")


# ---- commands ----------------------------------------------------------------------------------


def test_undo_and_regenerate(chat: Chat, llm: FakeLlama) -> None:
    """The last question is forgotten, or answered anew in the place of its answer."""
    talk(chat, "a", "b", "/undo")
    assert [turn.question for turn in chat.conversation.turns] == ["a"]
    llm.script = ["Other"]
    execute(chat, "/regenerate")
    assert [(turn.question, turn.answer) for turn in chat.conversation.turns] == [("a", "Other")]
    assert [message["content"] for message in source(llm)] == ["a"]
    llm.script = [EngineError("no")]
    with pytest.raises(EngineError):
        execute(chat, "/retry")
    assert [turn.answer for turn in chat.conversation.turns] == ["Other"]


def test_settings_hold_for_the_next_answers(chat: Chat, llm: FakeLlama, said: Said) -> None:
    """Parameters, the system prompt, thinking and the form of answers reach the engine."""
    for line in (
        "/set temperature 0.7",
        '/set stop ["x", "y"]',
        "/set ignore_eos on",
        "/set reasoning_effort low",
        "/system Be  brief.",
        "/think off",
        "/format json",
    ):
        execute(chat, line)
    chat.ask("a")
    asked = llm.generations[-1]
    assert asked.params.sampling.temperature == 0.7
    assert asked.params.sampling.ignore_eos
    assert asked.params.stop == ("x", "y")
    assert source(llm)[0] == {"role": "system", "content": "Be  brief."}
    assert asked.prompt.options == {
        "reasoning_effort": "low",
        "enable_thinking": False,
        "json_schema": {"type": "object"},
    }
    execute(chat, "/show")
    assert "temperature = 0.7" in said()
    for line in ("/think auto", "/format off", "/system off"):
        execute(chat, line)
    chat.ask("a")
    assert llm.generations[-1].prompt.options == {
        "reasoning_effort": "low",
        "enable_thinking": None,
    }
    assert source(llm)[0]["role"] == "user"


def test_a_schema_comes_from_a_file(chat: Chat, tmp_path: Path) -> None:
    """A name with a blank in it is found, quoted or not."""
    path = tmp_path / "a b.json"
    path.write_text('{"type": "array"}', "utf-8")
    for name in (str(path), f"'{path}'", str(path).replace(" ", "\\ ")):
        chat.options.clear()
        execute(chat, f"/format {name}")
        assert chat.options == {"json_schema": {"type": "array"}}


def test_an_attachment_goes_into_one_question(
    chat: Chat, llm: FakeLlama, tmp_path: Path, said: Said
) -> None:
    """The next question has the file's text, the one after it only in the history."""
    (tmp_path / "a.txt").write_text("inside", "utf-8")
    execute(chat, f"/attach {tmp_path / 'a.txt'}")
    assert "a.txt (6 tokens)" in said()
    chat.ask("what?")
    assert source(llm)[-1]["content"] == "a.txt:\n```\ninside\n```\n\nwhat?"
    chat.ask("and?")
    assert source(llm)[-1]["content"] == "and?"
    execute(chat, f"/attach {tmp_path / 'a.txt'}")
    execute(chat, "/detach")
    assert chat.attachments == []


def test_a_picture_stays_in_the_conversation(
    chat: Chat, llm: FakeLlama, tmp_path: Path, said: Said
) -> None:
    """It stands before its question, is asked about again, and is kept in a file."""
    llm.info = replace(llm.info, has_vision=True)
    (tmp_path / "a.png").write_bytes(media_files.picture())
    talk(chat, f"/image {tmp_path / 'a.png'}", "what?", "and?", "/history")
    picture = media_files.image_part(media_files.picture())
    shown = {"role": "user", "content": [picture, {"type": "text", "text": "what?"}]}
    first, _, second = source(llm)
    assert (first, second["content"]) == (shown, "and?")
    assert "a.png (picture, " in said()
    assert "[1 file]" in said()
    assert "base64" not in said()
    kept = tmp_path / "x.json"
    talk(chat, "/undo", "/regenerate", f"/save {kept}", "/clear", f"/load {kept}", "again?")
    assert source(llm)[0] == shown
    assert chat.attachments == []


def test_a_broken_picture_is_refused_when_it_is_attached(
    chat: Chat, llm: FakeLlama, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, and it is no part of the next question."""

    def refuse(_messages: Any, **_options: Any) -> Any:
        path = "messages[0].content[0].image_url.url"
        raise InvalidMedia(f"{path} cannot be read: it is cut off", param=path)

    llm.info = replace(llm.info, has_vision=True)
    monkeypatch.setattr(llm, "chat_prompt", refuse)
    (tmp_path / "a.png").write_bytes(media_files.picture())
    with pytest.raises(InvalidMedia, match=r"^a\.png cannot be read: it is cut off$"):
        execute(chat, f"/attach {tmp_path / 'a.png'}")
    assert chat.attachments == []


def test_attachments_share_half_of_the_context(chat: Chat, tmp_path: Path, said: Said) -> None:
    """What does not fit is cut, and said to be; when nothing fits, that is an error."""
    path = tmp_path / "a.txt"
    path.write_text("x" * 1500, "utf-8")
    for _ in range(2):
        execute(chat, f"/attach {path}")
    sizes = [item.n_tokens for item in chat.attachments if isinstance(item, Attachment)]
    assert sizes == [1500, 548]
    assert "a.txt (548 tokens, cut to fit)" in said()
    with pytest.raises(ConfigError, match="half of the context"):
        execute(chat, f"/attach {path}")


def test_a_conversation_is_saved_and_loaded(chat: Chat, llm: FakeLlama, tmp_path: Path) -> None:
    """A chat goes on where another one ended."""
    chat.conversation.system = "s"
    talk(chat, "a", f"/save {tmp_path / 'x.json'}", "/clear")
    assert chat.conversation.turns == []
    assert json.loads((tmp_path / "x.json").read_text("utf-8"))["model"] == "fake.gguf"
    chat.conversation.system = ""
    talk(chat, f"/load {tmp_path / 'x.json'}", "b")
    assert [message["content"] for message in source(llm)] == ["s", "a", "Hello", "b"]


def test_figures_are_shown_when_asked_for(chat: Chat, said: Said) -> None:
    """The counts are those of the answer; /verbose shows them each time."""
    chat.ask("a")
    assert "2 tokens" not in said()
    execute(chat, "/stats")
    assert said().count("2 tokens at 50.0/s; prompt 1 (1 cached)") == 1
    execute(chat, "/verbose")
    chat.ask("b")
    assert said().count("2 tokens at 50.0/s; prompt 3 (1 cached)") == 1


def test_help_lists_every_command(chat: Chat, said: Said) -> None:
    """Each command stands there with what it does, and each name is taken once."""
    execute(chat, "/?")
    names = [name for item in COMMANDS for name in (item.name, *item.aliases)]
    assert len(names) == len(set(names))
    assert all(f"\n{item.usage}" in f"\n{said()}" and item.help in said() for item in COMMANDS)


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("/sistem x", ConfigError, "did you mean /system?"),
        ("/set temperatur 1", UnknownOption, "'temperature'"),
        ("/set temperature hot", InvalidRequest, "temperature must be of type float"),
        ("/set temperature", ConfigError, "/set NAME VALUE"),
        ("/think maybe", ConfigError, r"on\|off\|auto"),
        ("/verbose maybe", ConfigError, r"\[on\|off\]"),
        ("/undo", ConfigError, "nothing was said"),
        ("/regenerate", ConfigError, "nothing was asked"),
        ("/stats", ConfigError, "nothing was answered"),
        ("/save", ConfigError, "name a file"),
        ("/load ./none.json", ConfigError, "none.json"),
        ("/format ./none.json", ConfigError, "none.json"),
        ("/attach ./none.txt", ConfigError, "none.txt"),
    ],
)
def test_what_cannot_be_done_says_why(
    line: str, error: type[PyllamaError], words: str, chat: Chat
) -> None:
    """A wrong command changes nothing and names what would be right."""
    before = chat.params
    with pytest.raises(error, match=words):
        execute(chat, line)
    assert chat.params == before
    assert chat.options == {}


def test_bye_leaves(chat: Chat) -> None:
    """The command that ends the chat is not an error."""
    with pytest.raises(Leave):
        execute(chat, "/quit")
