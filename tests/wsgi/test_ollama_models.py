"""What Ollama's routes say of the model, and by which names it is known."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import pyllama
from tests.support.fake_card import FakeCard
from tests.support.fake_llama import INFO, FakeLlama
from tests.wsgi.conftest import ClientOf
from wsgi.host import Host
from wsgi.ollama.describe import details, parameters

PATHS = ("/api/generate", "/api/chat", "/api/chat/ollama", "/api/show")
FILE = Path(__file__).parent / "Small-Model.Q4_1.gguf"


def named(alias: str = FILE.name) -> FakeLlama:
    llm = FakeLlama()
    llm.info = replace(INFO, id=alias, path=str(FILE))
    return llm


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "name",
    [
        FILE.name,
        FILE.stem,
        FILE.name.upper(),
        f"{FILE.stem}:latest",
        f"{FILE.name}:latest",
        str(FILE),
        f"{FILE}:latest",
        os.path.relpath(FILE),
        "my/alias:8b",
        "my/alias:8b:latest",
        "My/Alias:8B",
    ],
)
def test_model_is_known_by_each_of_its_names(connect: ClientOf, path: str, name: str) -> None:
    """File, stem, alias and path, whatever the case, with a tag or without."""
    client = connect(named("my/alias:8b"))
    body = {"model": name, "prompt": "Hi", "messages": [], "stream": False}
    assert client.post(path, json=body).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "name", ["other", "other:latest", "/none/x.gguf", "Small", "my", "\0/", ":"]
)
def test_other_model_is_not_found_before_anything_streams(
    connect: ClientOf, path: str, name: str
) -> None:
    """A 404 in Ollama's shape, also where a stream was asked for."""
    body = {"model": name, "prompt": "Hi", "messages": [{"role": "user", "content": "Hi"}]}
    response = connect(named("my/alias:8b")).post(path, json=body)
    assert response.status_code == 404
    assert response.json()["error"].startswith(f"model {name!r} not found")


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/api/chat"])
@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": ""}, {"model": " "}])
def test_name_is_required(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """A body without a name is a 400 that asks for it."""
    response = client.post(path, json={"prompt": "Hi", "messages": [], **body})
    assert response.status_code == 400
    assert response.json()["error"].startswith("model is ")


def test_tags_tell_the_file(connect: ClientOf, tmp_path: Path) -> None:
    """The name is the stem; size, time and digest are the file's, and change with it."""
    file = tmp_path / "x.gguf"
    file.write_bytes(b"GGUF")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    llm = FakeLlama()
    llm.info = replace(INFO, id="x.gguf", path=str(file))
    client = connect(llm)
    (model,) = client.get("/api/tags").json()["models"]
    digest = model.pop("digest")
    assert model == {
        "name": "x",
        "model": "x.gguf",
        "size": 4,
        "modified_at": "2023-11-14T22:13:20.0000000Z",
        "details": details(llm.info),
    }
    assert len(digest) == 64
    file.write_bytes(b"GGUX")
    assert client.get("/api/tags").json()["models"][0]["digest"] != digest
    file.unlink()
    (model,) = client.get("/api/tags").json()["models"]
    assert (model["size"], model["modified_at"]) == (4000, "2023-11-14T22:13:20.0000000Z")


def test_running_model_never_expires(client: httpx.Client) -> None:
    """It is in memory as long as the server runs."""
    (model,) = client.get("/api/ps").json()["models"]
    assert model["model"] == "fake.gguf"
    assert model["context_length"] == 4096
    assert model["expires_at"] > "2200"


@pytest.mark.parametrize(
    ("description", "quantization"),
    [
        ("llama 256M Q4_1", "Q4_1"),
        ("qwen3 8B Q4_K - Medium", "Q4_K_M"),
        ("qwen3 8B (guessed) Q3_K - Small", "Q3_K_S"),
        ("llama 1B all F32", "F32"),
        ("llama 1B BF16", "BF16"),
        ("gpt-oss 20B MXFP4 MoE", "MXFP4"),
        ("llama 1B IQ2_XXS - 2.0625 bpw", "IQ2_XXS"),
        ("llama ?B unknown, may not work", "unknown"),
    ],
)
def test_quantization_is_ollamas_word(description: str, quantization: str) -> None:
    """It is read off llama.cpp's description of the model."""
    told = details(replace(INFO, description=description))
    assert told["quantization_level"] == quantization


@pytest.mark.parametrize(
    ("count", "rounded"),
    [(12, "12"), (1_500, "1.50K"), (134_515_008, "134.52M"), (8_030_261_248, "8.0B")],
)
def test_size_is_rounded(count: int, rounded: str) -> None:
    """Parameters are counted in words that people use."""
    assert details(replace(INFO, n_params=count))["parameter_size"] == rounded


def test_show_tells_all(client: httpx.Client) -> None:
    """Template, metadata with the file's name and size, abilities and defaults."""
    told = client.post("/api/show", json={"model": "fake"}).json()
    assert told["template"] == FakeCard().template
    assert told["license"] == "none at all"
    assert told["model_info"] == {
        "general.license": "none at all",
        "fake.block_count": 2,
        "tokenizer.tokens": None,
        "file": "fake.gguf",
        "size": 4000,
    }
    assert told["capabilities"] == ["completion", "tools", "insert", "thinking"]
    assert "num_predict                    200\n" in told["parameters"]
    assert told["modelfile"].startswith('FROM "fake.gguf"\nPARAMETER num_ctx 4096\n')


@pytest.mark.parametrize("body", [{"name": "fake"}, {"model": "", "name": "fake"}])
def test_show_takes_the_old_name_of_the_name(client: httpx.Client, body: dict[str, Any]) -> None:
    """Clients that were written before ``model`` was its name are told the same."""
    told = client.post("/api/show", json={"model": "fake"}).json()
    assert client.post("/api/show", json=body).json() == told
    other = client.post("/api/show", json={"name": "other"})
    assert (other.status_code, other.json()["error"][:13]) == (404, "model 'other'")


def test_show_tells_arrays_when_asked(client: httpx.Client) -> None:
    """A vocabulary is long, so it comes with verbose only."""
    told = client.post("/api/show", json={"model": "fake", "verbose": True}).json()
    assert told["model_info"]["tokenizer.tokens"] == ["a", "b"]


def test_show_tells_of_the_projector(connect: ClientOf) -> None:
    """Its file's metadata, where there is one; arrays when asked."""
    llm = FakeLlama()
    assert "projector_info" not in connect(llm).post("/api/show", json={"model": "fake"}).json()
    llm.card = FakeCard(projector="mlp")
    for verbose, means in ((False, None), (True, [0.5])):
        told = connect(llm).post("/api/show", json={"model": "fake", "verbose": verbose}).json()
        assert told["projector_info"] == {"clip.projector_type": "mlp", "means": means}


def test_abilities_are_the_models_own(connect: ClientOf) -> None:
    """What a model cannot do is not among them."""
    llm = FakeLlama()
    llm.card = FakeCard(can_call=False, can_think=False, can_infill=False)
    told = connect(llm).post("/api/show", json={"model": "fake"}).json()
    assert told["capabilities"] == ["completion"]


def test_default_stops_are_quoted() -> None:
    """A stop string may hold a line break, and still takes one line."""
    llm: Any = FakeLlama()
    llm.defaults = llm.defaults.with_options(stop=['\n"'])
    assert parameters(llm).endswith('stop                           "\\n\\""')


@pytest.mark.parametrize("path", ["/api/version", "/api/tags"])
def test_clients_may_wait_for_the_server(connect: ClientOf, path: str) -> None:
    """While the model loads it is a 503 in Ollama's shape, afterwards HEAD is enough."""
    response = connect(Host()).get(path)
    assert (response.status_code, response.json()) == (503, {"error": "Loading model"})
    assert connect(FakeLlama()).head(path).status_code == 200


def test_version_is_the_packages(client: httpx.Client) -> None:
    """It is the version that is installed."""
    assert client.get("/api/version").json() == {"version": pyllama.__version__}
