"""`pyllama batch` with a fake model: order, resumption, Ctrl-C, failures, exit statuses."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from pyllama import cli
from pyllama.cli.batch.lines import Line, read_line
from pyllama.cli.batch.results import Result
from pyllama.cli.batch.workers import Workers
from pyllama.cli.interrupt import Interrupt
from pyllama.errors import EngineError, QueueFull
from pyllama.params import GenerationParams
from tests.support.fake_generation import FakeGeneration, FakePrompt
from tests.support.fake_llama import FakeLlama

Captured = pytest.CaptureFixture[str]


class Slower(FakeLlama):
    """Answers with its prompt, the first ones later than those that follow."""

    def start(
        self, prompt: FakePrompt, params: GenerationParams, *, request_id: str | None = None
    ) -> FakeGeneration:
        number = int(prompt.source)
        return FakeGeneration(prompt, params, [0.2 / (number + 1), prompt.source], "r")


def requests(path: Path, n_lines: int) -> list[str]:
    lines = [json.dumps({"id": f"q{i}", "prompt": str(i)}) for i in range(n_lines)]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return lines


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An input of ten requests, and the output."""
    requests(tmp_path / "in", 10)
    return tmp_path / "in", tmp_path / "out"


def batch(files: tuple[Path, Path], *options: str) -> int:
    return cli.main(["batch", str(files[0]), str(files[1]), *options])


@pytest.mark.usefixtures("llm")
def test_every_line_has_its_result(files: tuple[Path, Path], capsys: Captured) -> None:
    """Index and id say whose it is; text, reason and counts are the answer's."""
    assert batch(files) == 0
    found = sorted(results(files[1]), key=lambda item: int(item["index"]))
    assert [(item["index"], item["id"]) for item in found] == [(i, f"q{i}") for i in range(10)]
    assert found[3] == {
        "index": 3,
        "id": "q3",
        "text": "Hello",
        "finish_reason": "stop",
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 1},
        },
    }
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pyllama: 10 lines, 0 of them failed; 20 tokens in ")


@pytest.mark.usefixtures("llm")
def test_openais_form_has_openais_results(files: tuple[Path, Path]) -> None:
    """A chat and a text in envelopes come back in envelopes; a fault is their error."""
    envelope = {"method": "POST", "url": "/v1/chat/completions"}
    lines = [
        {**envelope, "custom_id": "a", "body": {"messages": [{"role": "user", "content": "x"}]}},
        {**envelope, "custom_id": "b", "url": "/v1/completions", "body": {"prompt": "x"}},
        {**envelope, "custom_id": "c", "body": {"input": "x"}},
    ]
    files[0].write_text("\n".join(map(json.dumps, lines)), "utf-8")
    assert batch(files, "--ordered") == 1
    chat, text, fault = results(files[1])
    assert [item["custom_id"] for item in (chat, text, fault)] == ["a", "b", "c"]
    assert chat["response"]["status_code"] == 200
    body = chat["response"]["body"]
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "logprobs": None,
            "message": {"role": "assistant", "content": "Hello"},
            "finish_reason": "stop",
        }
    ]
    assert body["usage"]["total_tokens"] == 3
    assert chat["error"] is None
    assert text["response"]["body"]["choices"][0]["text"] == "Hello"
    assert fault["response"] is None
    assert fault["error"]["code"] == "InvalidRequest"


@pytest.mark.usefixtures("llm")
def test_a_bad_line_is_an_error_line_and_not_the_end(
    files: tuple[Path, Path], capsys: Captured
) -> None:
    """The others are answered; the status is 1, also when the batch is run once more."""
    with files[0].open("a", encoding="utf-8") as file:
        file.write('{"bad\n{"prompt": "x", "fo": 1}\n')
    for _ in range(2):
        assert batch(files) == 1
        found = {item["index"]: item for item in results(files[1])}
        assert len(results(files[1])) == 12
        assert sum("error" in item for item in found.values()) == 2
        assert found[11]["error"]["param"] == "fo"
    assert "12 were there, 2 of them failed" in capsys.readouterr().err


def test_a_second_run_answers_what_is_missing(files: tuple[Path, Path], llm: FakeLlama) -> None:
    """Lines with a result are left out, and what was added to the input is answered."""
    assert batch(files) == 0
    requests(files[0], 13)
    files[1].write_bytes(files[1].read_bytes()[:-5])
    n_before = len(llm.generations)
    assert batch(files) == 0
    assert len(llm.generations) - n_before == 4
    assert sorted(item["index"] for item in results(files[1])) == list(range(13))


def test_the_output_is_not_the_input(files: tuple[Path, Path], capsys: Captured) -> None:
    """Requests are not overwritten by their results, by whatever name the file goes."""
    files[1].symlink_to(files[0])
    before = files[0].read_bytes()
    assert batch(files) == 2
    assert "same file" in capsys.readouterr().err
    assert files[0].read_bytes() == before


@pytest.mark.parametrize("is_ordered", [True, False])
def test_the_order_of_results(is_ordered: bool) -> None:  # noqa: FBT001
    """Asked for, the order is that of the lines; else who is ready comes first."""
    llm: Any = Slower()
    lines = (read_line(i, f'{{"prompt": "{i}"}}'.encode()) for i in range(200))
    found: list[Result] = []
    with Interrupt() as interrupt:
        Workers(llm, lines).run(found.append, interrupt, is_ordered=is_ordered)
    indexes = [result.index for result in found]
    assert sorted(indexes) == list(range(200))
    assert (indexes == sorted(indexes)) is is_ordered


@pytest.mark.parametrize("is_ordered", [True, False])
def test_a_long_input_is_not_read_ahead(is_ordered: bool) -> None:  # noqa: FBT001
    """While one line takes its time, only so many of those behind it are taken."""
    llm: Any = FakeLlama(["x", 1.0, "y"] if not is_ordered else ["x"])
    taken: list[int] = []

    def lines() -> Any:
        for index in range(100_000):
            taken.append(index)
            yield read_line(index, b'{"prompt": "p"}')

    def write(result: Result) -> None:
        assert len(taken) - result.index <= 16 * 8 + 8
        if not interrupt.is_set and result.index >= (300 if is_ordered else 0):
            os.kill(os.getpid(), signal.SIGINT)

    with Interrupt() as interrupt:
        Workers(llm, lines()).run(write, interrupt, is_ordered=is_ordered)
    assert len(taken) < 1_000


def test_ctrl_c_ends_with_what_is_done(
    files: tuple[Path, Path], llm: FakeLlama, capsys: Captured
) -> None:
    """What was answered is there, what was being answered is aborted, and the rest comes later."""
    llm.script = ["x", 60.0, "y"]
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert batch(files) == 130
    assert results(files[1]) == []
    assert all(generation.was_aborted for generation in llm.generations)
    llm.script = ["x"]
    assert batch(files) == 0
    assert len(results(files[1])) == 10


def test_a_dead_engine_is_no_fault_of_the_lines(
    files: tuple[Path, Path], llm: FakeLlama, capsys: Captured
) -> None:
    """When nothing can be answered any more, the batch ends, and no line counts as answered."""
    llm.start_error, llm.state = EngineError("dead"), "dead"
    assert batch(files) == 1
    assert capsys.readouterr().err == "pyllama: dead\n"
    assert results(files[1]) == []


def test_an_answer_that_fails_is_an_error_line(files: tuple[Path, Path], llm: FakeLlama) -> None:
    """With the engine alive, a failure belongs to its line."""
    llm.script = ["x", EngineError("once")]
    assert batch(files) == 1
    assert {item["error"]["message"] for item in results(files[1])} == {"once"}


def test_a_full_queue_is_waited_for(files: tuple[Path, Path], llm: FakeLlama) -> None:
    """An engine that has no room for a moment makes no line fail."""
    llm.start_error = QueueFull("full", retry_after_s=0.01)
    timer = threading.Timer(0.2, setattr, (llm, "start_error", None))
    timer.start()
    assert batch(files) == 0
    assert len(results(files[1])) == 10


def test_a_failing_input_ends_the_batch() -> None:
    """What the source raises is raised to the caller, not swallowed on a thread."""

    def lines() -> Any:
        yield Line(index=0, fields={"prompt": "p"})
        raise OSError("disk gone")

    llm: Any = FakeLlama()
    with Interrupt() as interrupt, pytest.raises(OSError, match="disk gone"):
        Workers(llm, lines()).run(lambda _: None, interrupt, is_ordered=False)
