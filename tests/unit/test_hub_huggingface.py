"""Models from the Hugging Face hub, against a small hub of our own on 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from huggingface_hub import constants

from pyllama import hub
from pyllama.errors import ModelNotFound
from pyllama.hub.huggingface import choose, parts
from pyllama.hub.reference import HubModel, parse

COMMIT = "0123456789" * 4
GGUF = b"GGUF\x03\0\0\0" + bytes(16)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as its client needs to list and to download."""

    protocol_version = "HTTP/1.1"
    repos: ClassVar[dict[str, dict[str, bytes]]] = {}
    requests: ClassVar[list[str]] = []
    gated: ClassVar[set[str]] = set()
    broken: ClassVar[list[int]] = []
    """A status with which everything is answered, if there is one."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        status, headers, body = self._response()
        self.requests.append(f"{self.command} {self.path}")
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _response(self) -> tuple[int, dict[str, str], bytes]:
        words = urlsplit(self.path).path.strip("/").split("/")
        is_listing = words[:2] == ["api", "models"]
        if is_listing:
            words = words[2:]
        repo, action, name = "/".join(words[:2]), words[2:3], "/".join(words[4:])
        if self.broken:
            return self.broken[0], {}, b"{}"
        if repo not in self.repos:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if repo in self.gated and not is_listing:
            return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
        files = self.repos[repo]
        if is_listing:
            return 200, {"Content-Type": "application/json"}, self._listing(repo, action)
        if name not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""
        digest = hashlib.sha256(files[name]).hexdigest()
        return 200, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT}, files[name]

    def _listing(self, repo: str, action: list[str]) -> bytes:
        files = self.repos[repo]
        if action == ["tree"]:
            tree = [
                {"type": "file", "path": name, "size": len(body), "oid": "0" * 40}
                for name, body in files.items()
            ]
            return json.dumps(tree).encode()
        siblings = [{"rfilename": name} for name in files]
        return json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()


@contextmanager
def serving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub of our own that the client is pointed at, with a cache of its own."""
    monkeypatch.setattr(Hub, "repos", {})
    monkeypatch.setattr(Hub, "requests", [])
    monkeypatch.setattr(Hub, "gated", set())
    monkeypatch.setattr(Hub, "broken", [])
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving() as url:
        point_at(url, monkeypatch)
        yield url


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def refusal(ref: str) -> str:
    with pytest.raises(ModelNotFound) as caught:
        hub.resolve(ref, progress=False)
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.usefixtures("endpoint")
def test_the_only_model_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file in the reference, a repository's single model is the one."""
    Hub.repos["org/one"] = {"README.md": b"#", "some-model.gguf": GGUF}
    path = hub.resolve("hf:org/one")
    assert path.name == "some-model.gguf"
    assert path.read_bytes() == GGUF
    out, err = capsys.readouterr()
    assert out == ""
    before, after = err.splitlines()
    assert "some-model.gguf" in before
    assert str(path) in after


@pytest.mark.usefixtures("endpoint")
def test_a_named_file_is_fetched() -> None:
    """A reference that names its file, folder included, gets that file and no other."""
    Hub.repos["org/two"] = {"a/m-Q8_0.gguf": GGUF, "m-Q4_K_M.gguf": b"other"}
    assert hub.resolve("hf:org/two:a/m-Q8_0.gguf", progress=False).read_bytes() == GGUF
    assert not [request for request in Hub.requests if "Q4_K_M" in request]


@pytest.mark.usefixtures("endpoint")
def test_all_parts_are_fetched_and_the_first_returned() -> None:
    """llama.cpp is given the first part and finds the others beside it."""
    names = parts("big-Q8_0-00001-of-00003.gguf")
    Hub.repos["org/big"] = dict.fromkeys(names, GGUF)
    path = hub.resolve("hf:org/big:q8_0", progress=False)
    assert path.name == names[0]
    assert {item.name for item in path.parent.iterdir()} == set(names)


@pytest.mark.usefixtures("endpoint")
def test_a_missing_file_lists_what_is_there() -> None:
    """A file that the repository lacks is answered with the files that it has."""
    Hub.repos["org/two"] = {"m-Q8_0.gguf": GGUF, "README.md": b"#"}
    said = refusal("hf:org/two:nope.gguf")
    assert "holds no nope.gguf. Its .gguf files: m-Q8_0.gguf." in said


@pytest.mark.usefixtures("endpoint")
def test_a_missing_repository_is_said() -> None:
    """A name that the hub does not know is told apart from a hub that is away."""
    assert "no such repository, or it is private" in refusal("hf:org/nothing")


@pytest.mark.usefixtures("endpoint")
def test_a_gated_repository_says_where_to_ask() -> None:
    """A repository behind terms names its page and the token variable."""
    Hub.repos["org/gated"] = {"m.gguf": GGUF}
    Hub.gated.add("org/gated")
    said = refusal("hf:org/gated")
    assert "gated" in said
    assert "https://huggingface.co/org/gated" in said
    assert "HF_TOKEN" in said


@pytest.mark.usefixtures("endpoint")
def test_a_name_that_the_hub_refuses_is_said() -> None:
    """The hub's own rules for names are reported, not raised through."""
    assert "not a repository name" in refusal("hf:org/double--dash")


@pytest.mark.parametrize("ref", ["hf:org/one", "hf:org/one:Q4_0", "hf:org/one:d/m-Q4_0.gguf"])
def test_the_cache_serves_without_the_hub(
    ref: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that was fetched once is found again when the hub cannot be reached."""
    Hub.repos["org/one"] = {"d/m-Q4_0.gguf": GGUF, "m-F16.gguf": b"large"}
    path = hub.resolve(ref, progress=False)
    assert endpoint
    point_at("http://127.0.0.1:9", monkeypatch)
    assert hub.resolve(ref, progress=False) == path


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_cache_serves_while_the_hub_fails(status: int) -> None:
    """An outage of the hub stops nobody who has the model; others are told of it."""
    Hub.repos["org/one"] = {"m.gguf": GGUF}
    path = hub.resolve("hf:org/one", progress=False)
    Hub.broken.append(status)
    assert hub.resolve("hf:org/one", progress=False) == path
    assert str(status) in refusal("hf:org/two")


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("ref", ["hf:org/one", "hf:org/one:m.gguf"])
def test_an_unreachable_hub_is_said(ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither hub nor cache, the error says so and what to do."""
    point_at("http://127.0.0.1:9", monkeypatch)
    said = refusal(ref)
    assert "cannot be reached" in said
    assert "HF_ENDPOINT" in said


@pytest.mark.usefixtures("endpoint")
def test_offline_mode_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_OFFLINE keeps every request from leaving."""
    Hub.repos["org/one"] = {"m.gguf": GGUF}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refusal("hf:org/one")
    assert Hub.requests == []


def test_the_command_pulls_from_the_endpoint_in_the_environment(
    endpoint: str, tmp_path: Path
) -> None:
    """`pyllama pull` honours HF_ENDPOINT and HF_HOME, and prints the path alone on stdout."""
    Hub.repos["org/one"] = {"m.gguf": GGUF}
    result = subprocess.run(
        [sys.executable, "-m", "pyllama.cli", "pull", "hf:org/one"],
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    path = Path(result.stdout.removesuffix("\n"))
    assert path.is_relative_to(tmp_path / "home")
    assert path.read_bytes() == GGUF
    assert result.stderr.count("pyllama: ") == len(result.stderr.splitlines())


FILES = (
    "m-F16.gguf",
    "m-IQ4_0.gguf",
    "m-Q4_0_4_4.gguf",
    "m.Q8_0.gguf",
    "mmproj-m-Q4_K_M.gguf",
    "imatrix-Q4_K_M.gguf",
    "mtp-m-Q4_K_M.gguf",
)


@pytest.mark.parametrize(
    ("ref", "more", "chosen"),
    [
        ("hf:o/r", (), "m.Q8_0.gguf"),
        ("hf:o/r", ("m-Q4_0.gguf",), "m-Q4_0.gguf"),
        ("hf:o/r", ("m-Q4_0.gguf", "m-q4_k_m.gguf"), "m-q4_k_m.gguf"),
        ("hf:o/r", parts("Q4_K_M/m-00001-of-00002.gguf"), "Q4_K_M/m-00001-of-00002.gguf"),
        (
            "hf:o/r",
            ("m-Q4_K_M-00002-of-00002.gguf", "m-Q4_K_M-00001-of-00002.gguf"),
            "m-Q4_K_M-00001-of-00002.gguf",
        ),
        ("hf:o/r:f16", (), "m-F16.gguf"),
        ("hf:o/r:Q4_0", ("m-Q4_0.gguf",), "m-Q4_0.gguf"),
        ("hf:o/r:UD-Q4_K_XL", ("m-UD-Q4_K_XL.gguf",), "m-UD-Q4_K_XL.gguf"),
    ],
)
def test_choice_of_a_file(ref: str, more: tuple[str, ...], chosen: str) -> None:
    """The quantisation asked for, else the preferred one; never a file that goes beside a model."""
    assert choose(hub_model(ref), [*FILES, *more])[0] == chosen


def hub_model(ref: str) -> HubModel:
    model: Any = parse(ref)
    assert isinstance(model, HubModel)
    return model


def test_the_first_model_when_none_is_preferred() -> None:
    """A repository of unusual quantisations still yields a model, the same each time."""
    assert choose(HubModel(repo="o/r"), ["b-IQ2_S.gguf", "a-IQ1_S.gguf"]) == ["a-IQ1_S.gguf"]


def test_a_quantisation_that_is_not_there() -> None:
    """The error names the quantisation and lists the files."""
    with pytest.raises(ModelNotFound, match=r"of quantisation Q2_K\. Its \.gguf files: .*m-F16"):
        choose(HubModel(repo="o/r", quant="Q2_K"), FILES)


@pytest.mark.parametrize("files", [(), ("README.md", "model.safetensors")])
def test_a_repository_without_models(files: tuple[str, ...]) -> None:
    """A repository in another format is told apart from one without the quantisation."""
    with pytest.raises(ModelNotFound, match=r"no \.gguf model"):
        choose(HubModel(repo="o/r"), files)


def test_a_missing_part_is_named() -> None:
    """A model of which the repository lacks a part is not fetched in part."""
    with pytest.raises(ModelNotFound, match=r"holds no m-Q8_0-00002-of-00002\.gguf"):
        choose(HubModel(repo="o/r", quant="Q8_0"), ["m-Q8_0-00001-of-00002.gguf"])


def test_parts_of_a_model() -> None:
    """A part's name tells the names of all parts; a whole file has one."""
    assert parts("d/m-00002-of-00002.gguf") == [
        "d/m-00001-of-00002.gguf",
        "d/m-00002-of-00002.gguf",
    ]
    assert parts("m.gguf") == ["m.gguf"]
