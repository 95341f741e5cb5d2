"""Objects may die in any order, and at exit: nothing is said, nothing crashes."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from pyllama._ext.context import Context
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.vocab import Vocab
from tests.ext.native import sampler

MAKE = """
import sys
from pyllama._ext.batch import Batch
from pyllama._ext.chat import ChatTemplate
from pyllama._ext.context import Context
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.vocab import Vocab
options = Options()
options.set("--parallel", "2")
options.set("--no-warmup")
model = Model(sys.argv[1], options)
context = Context(model, 512)
memory, vocab, chat, batch = Memory(context), Vocab(model), ChatTemplate(model), Batch(4)
"""


def run(code: str, model_path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, "-c", MAKE + code, str(model_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


NAMES = ("context", "model", "options", "memory", "vocab")
ORDERS = [
    order[start:] + order[:start] for order in (NAMES, NAMES[::-1]) for start in range(len(NAMES))
]
DELETE_IN_ORDERS = f"""
for order in {ORDERS}:
    model = Model(sys.argv[1], options)
    context = Context(model, 512)
    memory, vocab = Memory(context), Vocab(model)
    context.close()
    for name in order:
        del globals()[name]
    options = Options()
    options.set("--parallel", "2")
    options.set("--no-warmup")
    options.set("--fit", "off")
"""


def test_any_order_of_deletion_is_fine(model_path: Path) -> None:
    """Orders of dropping five objects, each first and each last in some, free each of them once."""
    assert {order[0] for order in ORDERS} == {order[-1] for order in ORDERS} == set(NAMES)
    code = 'context.close(); options = Options(); options.set("--no-warmup")\n'
    code += 'options.set("--parallel", "2"); options.set("--fit", "off")\n'
    result = run(code + DELETE_IN_ORDERS, model_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "code",
    [
        "context.close()",
        "",
        "sys.exit(0)",
        "cycle = [context, model]; cycle.append(cycle)",
        "import builtins; builtins.kept = (context, memory, vocab, chat)",
        "import threading; threading.Thread(target=lambda: context.is_open).start()",
    ],
)
def test_the_end_of_the_interpreter_is_silent(model_path: Path, code: str) -> None:
    """Whatever is still alive at exit goes without a word, in the default warning filter."""
    result = run(code, model_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_an_open_context_at_exit_warns_where_warnings_are_on(model_path: Path) -> None:
    """A context that nobody closed says so under -W always, and the process ends well."""
    result = run("del memory, context", model_path, "-W", "always::ResourceWarning")
    assert result.returncode == 0
    assert "ResourceWarning: a context was never closed" in result.stderr


def test_a_context_never_closed_warns(model: Model) -> None:
    """The warning names its source, which may outlive the collection that found it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        context = Context(model, 0)
        del context
        gc.collect()
    (warning,) = caught
    assert issubclass(warning.category, ResourceWarning)
    assert "never closed" in str(warning.message)
    assert isinstance(warning.source, Context)
    # Resurrected by the warning, and still whole.
    assert warning.source.n_seq_max == 4
    warning.source.close()


def test_a_closed_context_is_silent(model: Model) -> None:
    """There is nothing to warn about after close()."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        context = Context(model, 0)
        context.close()
        del context
        gc.collect()


def test_a_child_keeps_its_parents(model_path: Path) -> None:
    """A vocabulary, a sampler and a memory work on when their model and context are forgotten."""
    from tests.ext.native import load

    model = load(model_path)
    context = Context(model, 0)
    vocab, greedy, memory = Vocab(model), sampler(model), Memory(context)
    del model
    gc.collect()
    assert vocab.detokenize(vocab.tokenize("still here")) == b"still here"
    assert greedy.is_greedy
    assert memory.pos_max(0) == -1
    context.close()
