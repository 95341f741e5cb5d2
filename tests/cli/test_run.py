"""`pyllama run` through pipes: the answer on stdout, all else on stderr, and the exit status."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pyllama import cli
from pyllama.errors import EngineError
from pyllama.params import GenerationParams
from pyllama.recommendation import Recommendation
from pyllama.text.output import OutputDelta
from tests.cli.conftest import Terminal
from tests.support.fake_card import FakeCard
from tests.support.fake_llama import FakeLlama

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Standard input, a pipe; what is written to it stands there."""
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data, "utf-8"))
    return data


def fill(stdin: io.BytesIO, data: bytes) -> None:
    stdin.write(data)
    stdin.seek(0)


def asked(llm: FakeLlama) -> Any:
    return llm.generations[-1].prompt


@pytest.mark.usefixtures("stdin")
def test_a_prompt_is_answered_on_stdout_alone(llm: FakeLlama, capsys: Captured) -> None:
    """The text ends with one newline, and stderr stays empty."""
    assert cli.main(["run", "a.gguf", "-p", "Hi", "--system", "s", "--temp", "0.5"]) == 0
    assert capsys.readouterr() == ("Hello\n", "")
    assert [message["content"] for message in asked(llm).source] == ["s", "Hi"]
    assert llm.settings.model == "a.gguf"
    assert llm.settings.parallel == 1
    assert llm.generations[-1].params.sampling.temperature == 0.5
    assert llm.generations[-1].params.max_tokens == -1


def test_a_prompt_comes_through_a_pipe(llm: FakeLlama, stdin: io.BytesIO, capsys: Captured) -> None:
    """Without --prompt standard input is the prompt, less the end of its last line."""
    llm.script = ["a\n"]
    fill(stdin, "\ufeffWho är you?\n".encode())
    assert cli.main(["run"]) == 0
    assert asked(llm).source[-1]["content"] == "Who är you?"
    assert capsys.readouterr().out == "a\n"


def test_stdin_can_be_attached(llm: FakeLlama, stdin: io.BytesIO, tmp_path: Path) -> None:
    """A prompt speaks of what comes through the pipe, and of files."""
    (tmp_path / "b.txt").write_text("B", "utf-8")
    fill(stdin, b"A")
    assert cli.main(["run", "-p", "Q", "--attach", "-", f"--attach={tmp_path / 'b.txt'}"]) == 0
    content = asked(llm).source[-1]["content"]
    assert content == "standard input:\n```\nA\n```\n\nb.txt:\n```\nB\n```\n\nQ"


@pytest.mark.usefixtures("stdin")
def test_a_prompt_may_begin_with_a_hyphen(llm: FakeLlama) -> None:
    """The word after --prompt is the prompt, whatever it looks like."""
    assert cli.main(["run", "-p", "--json"]) == 0
    assert asked(llm).source[-1]["content"] == "--json"


@pytest.mark.usefixtures("stdin")
def test_thoughts_and_figures_go_to_stderr(llm: FakeLlama, capsys: Captured) -> None:
    """With --verbose, beside the answer and never in it."""
    llm.script = [OutputDelta(reasoning="hm"), OutputDelta(content="yes")]
    assert cli.main(["run", "-p", "a", "--think", "on", "--verbose"]) == 0
    out, err = capsys.readouterr()
    assert out == "yes\n"
    assert err.startswith("hm\n2 tokens at 50.0/s")
    assert asked(llm).options == {"enable_thinking": True}


@pytest.mark.usefixtures("stdin")
def test_json_modes(llm: FakeLlama, tmp_path: Path, capsys: Captured) -> None:
    """--json asks for an object, --json-schema for what a file says; half of it is a failure."""
    path = tmp_path / "s.json"
    path.write_text('{"type": "integer"}', "utf-8")
    assert cli.main(["run", "-p", "a", "--json"]) == 0
    assert asked(llm).options == {"json_schema": {"type": "object"}}
    assert cli.main(["run", "-p", "a", "--json-schema", str(path)]) == 0
    assert asked(llm).options == {"json_schema": {"type": "integer"}}
    capsys.readouterr()
    assert cli.main(["run", "-p", "a", "--json", "--max-tokens", "2"]) == 1
    assert "incomplete" in capsys.readouterr().err


@pytest.mark.usefixtures("llm", "stdin")
def test_a_text_that_was_cut_is_a_note(capsys: Captured) -> None:
    """The text is there, so the status is 0; that it was cut stands on stderr."""
    assert cli.main(["run", "-p", "a", "--max-tokens", "2"]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello\n"
    assert "[stopped at the limit of 2 tokens; --max-tokens N moves it]" in err


RECOMMENDED = Recommendation(
    system_prompt="You are small.", params={"temperature": 0.2, "max_tokens": 512}
)


@pytest.mark.usefixtures("stdin")
@pytest.mark.parametrize(
    ("flags", "system", "temperature", "max_tokens"),
    [
        ([], "You are small.", 0.2, 512),
        (["--system", "You are big."], "You are big.", 0.2, 512),
        (["--system", ""], None, 0.2, 512),
        (["--temp", "0"], "You are small.", 0.0, 512),
        (["--predict", "-1"], "You are small.", 0.2, -1),
        (["--max-tokens", "200"], "You are small.", 0.2, 200),
    ],
)
def test_the_models_card_holds_unless_flags_say_otherwise(
    flags: list[str], system: str | None, temperature: float, max_tokens: int, llm: FakeLlama
) -> None:
    """System prompt, sampling and limit are the card's, each as long as nobody names it."""
    llm.card = FakeCard(recommendation=RECOMMENDED)
    assert cli.main(["run", "-p", "a", *flags]) == 0
    first = asked(llm).source[0]
    assert (first["content"] if first["role"] == "system" else None) == system
    params = llm.generations[-1].params
    assert (params.sampling.temperature, params.max_tokens) == (temperature, max_tokens)


@pytest.mark.usefixtures("stdin")
def test_a_model_without_a_card_is_asked_as_ever(llm: FakeLlama) -> None:
    """No system prompt is added, greedy decoding stays, and an answer may take the context."""
    assert cli.main(["run", "-p", "a"]) == 0
    assert [message["role"] for message in asked(llm).source] == ["user"]
    params = llm.generations[-1].params
    assert params == GenerationParams(max_tokens=-1)


@pytest.mark.usefixtures("stdin")
@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (["-p", "a", "--image", "none.png"], 2, "none.png"),
        (["-p", "a", "--json", "--json-schema", "x"], 2, "exclude each other"),
        (["-p", "a", "--json-schema", "none.json"], 2, "none.json"),
        (["-p", " "], 2, "the prompt is empty"),
        ([], 2, "the prompt is empty"),
        (["--attach", "-"], 2, "attached already"),
        (["-p", "a", "--attach", "none.txt"], 2, "none.txt"),
        (["-p", "a", "--temprature", "1"], 2, "--temperature"),
        (["a.gguf", "-p", "a", "-m", "b.gguf"], 2, "both name a model"),
    ],
)
def test_what_is_wrong_is_one_line(
    argv: list[str], status: int, said: str, llm: FakeLlama, capsys: Captured
) -> None:
    """Nothing is answered, and stdout stays empty."""
    assert cli.main(["run", *argv]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert llm.generations == []


def test_a_prompt_that_is_no_text_is_refused(
    llm: FakeLlama, stdin: io.BytesIO, capsys: Captured
) -> None:
    """Bytes that are not UTF-8 reach no model."""
    fill(stdin, b"\xff\xfe")
    assert cli.main(["run"]) == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert llm.generations == []


@pytest.mark.usefixtures("stdin")
def test_a_failed_answer_is_status_1(llm: FakeLlama, capsys: Captured) -> None:
    """What was said until then stands on stdout, why it ended on stderr."""
    llm.script = ["Hel", EngineError("broken")]
    assert cli.main(["run", "-p", "a"]) == 1
    assert capsys.readouterr() == ("Hel\n", "pyllama: broken\n")


def test_a_terminal_gets_a_chat(
    llm: FakeLlama, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Where a person types, questions follow one another; stdout has the answers alone."""
    monkeypatch.setattr(sys, "stdin", Terminal("one\ntwo\n/bye\n"))
    assert cli.main(["run", "--no-history"]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello\nHello\n"
    assert ">>> " in err
    assert [message["content"] for message in asked(llm).source] == ["one", "Hello", "two"]


def test_help_needs_no_model(capsys: Captured) -> None:
    """The help names the options and where the flags are explained."""
    for command in ("run", "batch"):
        with pytest.raises(SystemExit) as caught:
            cli.main([command, "--help"])
        assert caught.value.code == 0
        assert "pyllama serve" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = capsys.readouterr().out
    assert "run [REF]" in listed
    assert "batch IN OUT" in listed


def test_schema_errors_name_the_file(tmp_path: Path, capsys: Captured) -> None:
    """A file with something else than a schema is refused before a model is loaded."""
    path = tmp_path / "s.json"
    path.write_text(json.dumps([1]), "utf-8")
    assert cli.main(["run", "-p", "a", "--json-schema", str(path)]) == 2
    assert "s.json holds no JSON schema" in capsys.readouterr().err
