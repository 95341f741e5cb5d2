"""The commands with the real model, as processes: pipes, kill -9, and lines nobody thought of."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyllama import Llama
from pyllama.cli.batch.lines import Line
from pyllama.cli.batch.requests import begin
from pyllama.errors import InvalidRequest

pytestmark = [pytest.mark.model, pytest.mark.e2e]

ENVIRON = {**os.environ, "PYLLAMA_TUNED": "0"}
LONG_S = 120.0


@pytest.fixture(scope="module")
def llm(model_path: Path) -> Iterator[Llama]:
    with Llama(str(model_path), ctx_size=2048, parallel=2, threads=1) as llm:
        yield llm


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pyllama.cli", *map(str, arguments)]


def run(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_S,
        env=ENVIRON,
    )


def requests(n_lines: int, max_tokens: int) -> str:
    lines = (
        {"id": i, "prompt": f"{i}, {i + 1}, {i + 2},", "max_tokens": max_tokens, "ignore_eos": True}
        for i in range(n_lines)
    )
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def results(text: str) -> list[dict[str, Any]]:
    return sorted(map(json.loads, text.splitlines()), key=lambda item: int(item["index"]))


def test_a_question_through_pipes(model_path: Path) -> None:
    """The answer is all there is on stdout, and nothing is on stderr."""
    system = "You are a helpful assistant."
    done = run(
        "run", model_path, "--temp", 0, "--system", system, text="What is the capital of France?\n"
    )
    assert done.returncode == 0
    assert "Paris" in done.stdout
    assert done.stdout.endswith("\n")
    assert done.stderr == ""


def test_json_on_stdout(model_path: Path, tmp_path: Path) -> None:
    """What a schema asks for can be piped into the next program."""
    schema = tmp_path / "s.json"
    schema.write_text(
        '{"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"],'
        ' "additionalProperties": false}',
        "utf-8",
    )
    done = run("run", model_path, "-p", "Pick a number.", "--json-schema", schema)
    assert json.loads(done.stdout)["n"] in {1, 2}


def test_a_reader_that_leaves_ends_the_answer(model_path: Path) -> None:
    """When nobody reads on, the command ends at once and quietly."""
    with subprocess.Popen(
        command("run", model_path, "-p", "Count.", "--ignore-eos", "--max-tokens", "1000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRON,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.wait(LONG_S) == 1
        assert b"Traceback" not in process.stderr.read()


def test_a_killed_batch_goes_on(model_path: Path, tmp_path: Path) -> None:
    """After kill -9 in the middle a second run leaves one whole result for each line."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_text(requests(24, 24), "utf-8")
    arguments = command("batch", source, output, "-m", model_path, "-np", 2, "-t", 2)
    with subprocess.Popen(arguments, env=ENVIRON, stderr=subprocess.DEVNULL) as process:
        deadline_s = time.monotonic() + LONG_S
        while not output.exists() or output.read_bytes().count(b"\n") < 5:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    n_before = output.read_bytes().count(b"\n")
    assert 5 <= n_before < 24
    # What a kill in the middle of a write leaves.
    with output.open("ab") as file:
        file.write(b'{"index":')
    done = run("batch", source, output, "-m", model_path, "-np", 2, "-t", 2)
    assert done.returncode == 0
    assert f"{24 - n_before} lines" in done.stderr
    found = results(output.read_text("utf-8"))
    assert [item["index"] for item in found] == list(range(24))
    assert found[3]["text"].startswith(" 6, 7, 8")
    assert all(item["usage"]["completion_tokens"] == 24 for item in found)


def test_ctrl_c_leaves_whole_lines(model_path: Path, tmp_path: Path) -> None:
    """A batch that is interrupted ends with status 130 and what was answered."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_text(requests(200, 50), "utf-8")
    arguments = command("batch", source, output, "-m", model_path)
    with subprocess.Popen(arguments, env=ENVIRON, stderr=subprocess.PIPE) as process:
        deadline_s = time.monotonic() + LONG_S
        while not output.exists() or not output.read_bytes():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONG_S)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert output.read_bytes().endswith(b"\n")
    assert 0 < len(results(output.read_text("utf-8"))) < 200


def test_lines_are_answered_while_others_come(model_path: Path) -> None:
    """Through pipes a result does not wait for the input to end, and Ctrl-C does not either."""
    with subprocess.Popen(
        command("batch", "-", "-", "-m", model_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRON,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(requests(1, 4).encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG_S) == 130
        err = process.stderr.read()
        assert b"1 lines, 0 of them failed" in err
        assert b"Traceback" not in err
        assert b"Fatal" not in err


FIELDS = st.sampled_from(
    [
        *("messages", "prompt", "tools", "tool_choice", "json_schema", "grammar", "stop"),
        *("response_format", "template_kwargs", "reasoning_effort", "reasoning_budget"),
        *("continue_final_message", "logit_bias", "samplers", "max_tokens", "temperature", "n"),
        *("parallel_tool_calls", "add_generation_prompt", "reasoning_format", "stream", "seed"),
    ]
)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "schema", "function", "name", "x"]),
            inner | st.sampled_from(["user", "assistant", "object", "function", "json_schema"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)
SOURCES = st.fixed_dictionaries({"messages": st.just([{"role": "user", "content": "a"}])}) | (
    st.fixed_dictionaries({"prompt": st.just("a")})
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fields=st.dictionaries(FIELDS, VALUES, max_size=3), source=SOURCES)
def test_no_line_ends_a_batch(fields: dict[str, Any], source: dict[str, Any], llm: Llama) -> None:
    """Whatever a line's fields hold, it is taken or refused as a request."""
    with contextlib.suppress(InvalidRequest):
        begin(Line(index=0, fields={**source, **fields}), llm).close()
