"""A forked process: the model there is an error at once, and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]

BEFORE = """
import os, signal, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from pyllama import Llama
from pyllama.errors import Forked
HI = [{"role": "user", "content": "Hi"}]
def make():
    return Llama(sys.argv[1], ctx_size=1024, parallel=2, threads=1)
def refused(use):
    try:
        use()
    except Forked as error:
        assert "fork" in str(error)
        return True
    return False
llm = make()
whole = llm.chat(HI, max_tokens=3, temperature=0.0)
stream = llm.generate("Once", stream=True, max_tokens=-1, ignore_eos=True)
next(stream)
several = llm.start_all([(llm.text_prompt("One"), llm.defaults)] * 2)
pending = llm.start_embed(["a text"])
prompt = llm.text_prompt("Hi")
def in_child(work):
    pid = os.fork()
    if pid == 0:
        # Nothing of it computes for long, and what hangs hangs for ever.
        signal.alarm(40)
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    assert status == 0, status
"""

USES = """
uses = {
    "chat": lambda: llm.chat(HI), "generate": lambda: llm.generate("Hi"),
    "stream": lambda: llm.generate("Hi", stream=True), "embed": lambda: llm.embed("Hi"),
    "tokenize": lambda: llm.tokenize("Hi"), "detokenize": lambda: llm.detokenize([1]),
    "piece": lambda: llm.piece(1), "chat_prompt": lambda: llm.chat_prompt(HI),
    "text_prompt": lambda: llm.text_prompt("Hi"), "start": lambda: llm.start(prompt, llm.defaults),
    "start_all": lambda: llm.start_all([(prompt, llm.defaults)]),
    "reader": lambda: llm.reader(prompt, llm.defaults), "status": llm.status,
    "metrics": llm.metrics, "check_integrity": llm.check_integrity,
    "drain": lambda: llm.drain(5), "next": lambda: next(stream), "poll": lambda: stream.poll(5),
    "result": stream.result, "several": lambda: next(several), "results": several.results,
    "pending": pending.result,
}
def work():
    missing = [name for name, use in uses.items() if not refused(use)]
    assert not missing, missing
in_child(work)
"""

ENDS = """
def work():
    global llm, stream, several, pending
    stream.close(); several.close(); pending.close(); llm.close(); llm.close()
    with llm:
        pass
    import gc
    del llm, stream, several, pending
    gc.collect()
in_child(work)
"""

EXITS = """
pid = os.fork()
if pid == 0:
    signal.alarm(40)
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""

MULTIPROCESSING = """
import multiprocessing
def work(_):
    return refused(lambda: llm.chat(HI)), refused(lambda: llm.embed("Hi"))
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, range(4)) == [(True, True)] * 4
"""

ANOTHER = """
def work():
    with make() as own:
        assert own.chat(HI, max_tokens=3, temperature=0.0).text == whole.text
in_child(work)
"""

AFTER = """
assert llm.chat(HI, max_tokens=3, temperature=0.0).text == whole.text
assert next(stream) is not None
pending.result()
stream.close()
several.close()
llm.drain(60)
llm.close()
print("whole")
"""


@pytest.mark.parametrize("code", [USES + ENDS + EXITS, MULTIPROCESSING + ANOTHER])
def test_a_fork_can_do_the_model_no_harm(short_model_path: Path, code: str) -> None:
    """In the child each use is refused and each end is quick; the parent goes on as before."""
    result = subprocess.run(
        [sys.executable, "-c", BEFORE + code + AFTER, str(short_model_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "whole\n", "")
