"""What was said: as messages, and in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyllama.cli.chat.conversation import Conversation, Turn
from pyllama.errors import ConfigError


@pytest.fixture
def conversation() -> Conversation:
    turns = [Turn(question="a", answer="b"), Turn(question="c", answer="d", reasoning="e")]
    return Conversation("s", turns)


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def test_messages_are_those_of_openai(conversation: Conversation) -> None:
    """The system prompt comes first, then questions and answers, the new question last."""
    assert conversation.messages("f") == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d", "reasoning_content": "e"},
        {"role": "user", "content": "f"},
    ]
    assert Conversation().messages() == []


def test_files_stand_before_their_question() -> None:
    """As parts, also in the turns before."""
    conversation = Conversation("", [Turn(question="a", files=(PICTURE,), answer="b")])
    assert conversation.messages("c", [PICTURE]) == [
        {"role": "user", "content": [PICTURE, {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": [PICTURE, {"type": "text", "text": "c"}]},
    ]


def test_a_saved_conversation_comes_back(conversation: Conversation, tmp_path: Path) -> None:
    """Loading what was saved gives the same, files too; saving over it is no accident."""
    conversation.turns.append(Turn(question="f", files=(PICTURE,), answer="g"))
    path = tmp_path / "a.json"
    Conversation().save(path, "m")
    conversation.save(path, "m")
    assert Conversation.load(path) == conversation
    assert json.loads(path.read_text("utf-8"))["model"] == "m"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("text", ["precious", '{"a": 1}', "[]"])
def test_another_file_is_never_overwritten(
    text: str, conversation: Conversation, tmp_path: Path
) -> None:
    """A file that holds something else stays as it is."""
    path = tmp_path / "a"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="not saved"):
        conversation.save(path, "m")
    assert path.read_text("utf-8") == text


def test_saving_into_nowhere_is_an_error(conversation: Conversation, tmp_path: Path) -> None:
    """A folder that does not exist is reported."""
    with pytest.raises(ConfigError, match="cannot save"):
        conversation.save(tmp_path / "none" / "a.json", "m")


@pytest.mark.parametrize(
    "messages",
    [
        1,
        [1],
        [{"role": "user"}],
        [{"role": "user", "content": "a"}],
        [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}],
        [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        *(
            [{"role": "user", "content": [part]}, {"role": "assistant", "content": "b"}]
            for part in (1, {"type": "text"}, {"type": "image", "image": "/etc/passwd"}, {})
        ),
        [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}],
    ],
)
def test_what_is_no_conversation_is_not_loaded(messages: object, tmp_path: Path) -> None:
    """Anything but questions and answers in turn is refused with the file's name."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"messages": messages}), "utf-8")
    with pytest.raises(ConfigError, match=r"a\.json"):
        Conversation.load(path)
