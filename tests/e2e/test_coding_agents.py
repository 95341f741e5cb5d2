"""Claude Code and Codex do a task of one file, where ``--coding-agents`` says that they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from pyllama import Llama
from pyllama.results import ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.coding_agents import Requests, run_claude, run_codex, served
from tests.support.fake_llama import FakeLlama
from wsgi.factory import create_app
from wsgi.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# A system prompt of their own has thousands of tokens, which a small machine reads for minutes.
SHORT = ("--system-prompt", "You write files.", "--tools", "Write")
BRIEF = "model_instructions_file = {path!r}\n"


@pytest.fixture
def programs(request: pytest.FixtureRequest) -> Path:
    """The folder of the two commands."""
    given = request.config.getoption("--coding-agents")
    if given is None:
        pytest.skip("needs the programs: ci/coding_agents installs them and runs this")
    return Path(given)


class Worker(FakeLlama):
    """A model that calls one tool, and says that it is done when it has the result."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def start_all(self, wanted: Sequence[Any], **options: Any) -> Any:
        """Play what comes next."""
        prompt = wanted[0][0]
        names = [tool["function"]["name"] for tool in prompt.options.get("tools", ())]
        self.script = ("Done.",)
        if all(message["role"] != "tool" for message in prompt.source):
            if "Write" in names:
                call = ("Write", {"file_path": str(self._path), "content": "hello\n"})
                self.script = (self._call(*call),)
            elif "exec_command" in names:
                call = ("exec_command", {"cmd": f"echo hello > {self._path}"})
                self.script = (self._call(*call),)
        return super().start_all(wanted, **options)

    @staticmethod
    def _call(name: str, arguments: Any) -> OutputDelta:
        text = orjson.dumps(arguments).decode()
        return OutputDelta(
            tool_calls=(ToolCallDelta(index=0, id="call_1", name=name, arguments=text),)
        )


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Iterator[list[tuple[str, str, int]]]:
    """The requests of one test, which are printed at its end."""
    seen: list[tuple[str, str, int]] = []
    yield seen
    with capsys.disabled():
        for method, path, status in seen:
            sys.stdout.write(f"\n{status} {method} {path}")


def do(llm: Any, seen: list[Any], run: Callable[[str], str]) -> str:
    """Let a program work over a model, of which no request may be refused."""
    app: Any = Requests(create_app(Host(llm)), seen)
    with served(app) as url:
        printed = run(url)
    assert [status for _, _, status in seen if status >= 400] == [], printed
    return printed


@pytest.mark.timeout(300)
def test_claude_code_writes_a_file(programs: Path, tmp_path: Path, asked: list[Any]) -> None:
    """The whole of its requests is answered, a call is made and its result comes back."""
    llm = Worker(tmp_path / "work" / "hello.txt")
    printed = do(llm, asked, lambda url: run_claude(programs, tmp_path, url))
    assert (tmp_path / "work" / "hello.txt").read_text(encoding="utf-8") == "hello\n"
    assert printed.split() == ["Done.", "exit", "status", "0"]
    assert [path for _, path, _ in asked].count("/v1/messages") == 2


@pytest.mark.timeout(300)
def test_codex_writes_a_file(programs: Path, tmp_path: Path, asked: list[Any]) -> None:
    """The same over responses."""
    llm = Worker(tmp_path / "work" / "hello.txt")
    printed = do(llm, asked, lambda url: run_codex(programs, tmp_path, url))
    assert (tmp_path / "work" / "hello.txt").read_text(encoding="utf-8") == "hello\n"
    assert printed.rstrip().endswith("exit status 0")
    assert [path for _, path, _ in asked].count("/v1/responses") == 2


@pytest.fixture
def small(model_path: Path) -> Iterator[Llama]:
    """The default model, with room for what the programs say of themselves.

    Its answers are cut after a few tokens, which the programs may call a failure.
    """
    with Llama(str(model_path), ctx_size=32768, parallel=1, max_tokens=48) as llm:
        yield llm


@pytest.mark.model
@pytest.mark.timeout(1800)
def test_claude_code_asks_a_real_model(
    programs: Path, small: Llama, tmp_path: Path, asked: list[Any]
) -> None:
    """No request is refused, whatever so small a model says."""
    do(small, asked, lambda url: run_claude(programs, tmp_path, url, *SHORT))
    assert ("POST", "/v1/messages", 200) in asked


@pytest.mark.model
@pytest.mark.timeout(1800)
def test_codex_asks_a_real_model(
    programs: Path, small: Llama, tmp_path: Path, asked: list[Any]
) -> None:
    """The same over responses."""
    brief = tmp_path / "brief.md"
    brief.write_text("You write files.", encoding="utf-8")
    extra = BRIEF.format(path=str(brief))
    do(small, asked, lambda url: run_codex(programs, tmp_path, url, extra=extra))
    assert ("POST", "/v1/responses", 200) in asked
