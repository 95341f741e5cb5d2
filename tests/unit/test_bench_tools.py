"""The benchmark's helpers: process counters, models, random weights, the scheduler's cost."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench import extras, models, random_model, scheduler, server
from bench.processes import ProcessTree

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")

# A child that starts a child; both hold memory and wait to be ended.
PARENT = """
import subprocess, sys
code = "x = b'1' * 20_000_000; print(flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", code],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
sum(range(3_000_000))
print(flush=True)
input()
"""


@linux
def test_a_process_tree_counts_its_children() -> None:
    """CPU time and memory of a grandchild count; those of a stranger do not."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        tree = ProcessTree(process.pid)
        assert len(tree.pids()) == 2
        assert tree.peak_bytes() > 25_000_000
        assert 0 < tree.cpu_s() < 10
        tree.reset_peak()
        assert tree.peak_bytes() > 20_000_000
        process.kill()


@linux
def test_a_process_that_is_gone_counts_nothing() -> None:
    """Figures of a dead process are zero, not an error: it may die between two looks."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    tree = ProcessTree(process.pid)
    assert (tree.cpu_s(), tree.peak_bytes()) == (0, 0)


def test_a_server_that_ends_at_once_is_reported_with_its_words(tmp_path: Path) -> None:
    """Its exit status and the end of its output are in the error."""
    code = "import sys; sys.exit('no such model')"
    side = server.Side("broken", (sys.executable, "-c", code))
    with (
        pytest.raises(SystemExit, match="broken ended with status 1:\nno such model"),
        server.serve(side, tmp_path / "m.gguf"),
    ):
        pytest.fail("it is not serving")


HEALTHY = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(os.environ.get("LLAMA_ARG_THREADS", "unset").encode())
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def test_a_server_ends_with_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ready inside the block, without options from the environment, and gone after it."""
    monkeypatch.setenv("LLAMA_ARG_THREADS", "7")
    side = server.Side("fake", (sys.executable, "-c", HEALTHY))
    with server.serve(side, tmp_path / "m.gguf") as running:
        answer = subprocess.run(
            [sys.executable, "-c", FETCH, str(running.port)],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert answer.stdout.strip() == "unset"
    time.sleep(0.05)
    assert not _listens(running.port)


def test_a_server_is_untuned_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result does not depend on what the user tuned; with tuning the cache is the user's."""
    monkeypatch.setenv("PYLLAMA_CACHE", "somewhere")
    monkeypatch.setenv("PYLLAMA_TUNED", "1")
    for is_tuned, expected in (
        (False, {"PYLLAMA_TUNED": "0"}),
        (True, {"PYLLAMA_TUNED": "1", "PYLLAMA_CACHE": "somewhere"}),
    ):
        made = server.environment(is_tuned=is_tuned)
        assert {k: v for k, v in made.items() if k.startswith("PYLLAMA_")} == expected


FETCH = """
import sys, urllib.request
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=10).read().decode())
"""


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_models_have_short_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """q4_1 is the default model as it comes; anything else is a model reference."""
    monkeypatch.setattr("bench.models.hub.resolve", lambda ref: tmp_path / ref)
    assert models.resolve("q4_1") == tmp_path / "default"
    assert models.resolve("hf:a/b") == tmp_path / "hf:a/b"


def test_q4_0_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The quantiser runs for the first use only and leaves no half-written file behind."""
    calls: list[list[str]] = []

    def quantise(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        Path(command[3]).write_bytes(b"GGUF")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("PYLLAMA_CACHE", str(tmp_path))
    monkeypatch.setattr("bench.models.hub.resolve", lambda _: tmp_path / "default.gguf")
    monkeypatch.setattr("bench.models.peers.build", Path)
    monkeypatch.setattr("bench.models.subprocess.run", quantise)
    paths = {models.resolve("q4_0") for _ in range(2)}
    assert [path.read_bytes() for path in paths] == [b"GGUF"]
    assert [command[0] for command in calls] == ["llama-quantize"]
    assert calls[0][-1] == "Q4_0"


def test_a_quantiser_that_fails_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its output is the error, and the next use tries again."""
    failed = subprocess.CompletedProcess([], 1, "bad magic", "")
    monkeypatch.setenv("PYLLAMA_CACHE", str(tmp_path))
    monkeypatch.setattr("bench.models.hub.resolve", lambda _: tmp_path / "default.gguf")
    monkeypatch.setattr("bench.models.peers.build", Path)
    monkeypatch.setattr("bench.models.subprocess.run", lambda *_, **__: failed)
    with pytest.raises(SystemExit, match="bad magic"):
        models.resolve("q4_0")
    assert list(tmp_path.glob("*.gguf")) == []


def test_a_missing_extra_says_how_to_get_it() -> None:
    """The message names the package and the extra."""
    with pytest.raises(SystemExit, match=r"no_such_package is missing: .*pyllama\[bench\]"):
        extras.load("no_such_package")


@pytest.mark.parametrize("weight_type", ["q8_0", "f16"])
def test_random_weights_are_finite_and_small(weight_type: str, tmp_path: Path) -> None:
    """A written file reads back: shapes, tokenizer, and weights with a fresh network's spread."""
    gguf: Any = pytest.importorskip("gguf", reason="the bench extra is not installed")
    source = tmp_path / "vocabulary.gguf"
    _write_vocabulary(gguf, source)
    shape = random_model.Shape(n_layers=2, n_embd=64, n_ff=128, n_head=4, n_head_kv=2)
    out = tmp_path / "out.gguf"
    n_params = random_model.write(out, shape, source, weight_type=weight_type)
    reader = gguf.GGUFReader(out)
    assert reader.fields["tokenizer.ggml.tokens"].contents() == ["a", "b", "c"]
    assert reader.fields["tokenizer.ggml.bos_token_id"].contents() == 1
    assert reader.fields["llama.block_count"].contents() == 2
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert sum(int(tensor.n_elements) for tensor in reader.tensors) == n_params
    assert list(tensors["blk.1.attn_k.weight"].shape) == [64, 32]
    assert set(tensors["output_norm.weight"].data.tolist()) == {1.0}
    up = tensors["blk.0.ffn_up.weight"]
    values = gguf.dequantize(up.data, up.tensor_type)
    assert abs(values).max() < 0.05
    assert 0.015 < values.std() < 0.025


def _write_vocabulary(gguf: Any, path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b", "c"])
    writer.add_token_scores([0.0, 0.0, 0.0])
    writer.add_bos_token_id(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_the_scheduler_is_timed_alone_and_beside_a_prompt() -> None:
    """Each number of sequences gives two rows of positive times, and the table shows them all."""
    data = scheduler.measure(argparse.Namespace(sequences=[1, 3], steps=20))
    rows = [(row["n_decoding"], row["is_prefilling"]) for row in data["rows"]]
    assert rows == [(1, False), (1, True), (3, False), (3, True)]
    assert all(0 < row["p50_us"] <= row["p99_us"] for row in data["rows"])
    assert len(scheduler.table(data).splitlines()) == 5


def test_a_terminated_measurement_leaves_no_server(tmp_path: Path) -> None:
    """SIGTERM in the middle of a run ends the server that it measures as well."""
    pytest.importorskip("pyllama._ext.options", reason="the extension is not built")
    code = MEASURING.replace("HEALTHY", repr(HEALTHY)).replace("MODEL", repr(str(tmp_path / "m")))
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        port = int(run.stdout.readline())
        assert _listens(port)
        run.terminate()
        run.terminate()
        assert run.wait(30) == 128 + signal.SIGTERM
    assert not _listens(port)


MEASURING = """
import sys, time
from pathlib import Path
from bench import __main__, scheduler
from bench.server import Side, serve

def measure(args):
    with serve(Side("fake", (sys.executable, "-c", HEALTHY)), Path(MODEL)) as running:
        print(running.port, flush=True)
        time.sleep(30)

scheduler.measure = measure
sys.argv = ["bench", "scheduler"]
__main__.main()
"""
