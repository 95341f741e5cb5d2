"""The look at a GGUF file's header before llama.cpp opens it."""

from __future__ import annotations

import errno
import os
import re
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllama.errors import ModelLoadError, ModelNotFound
from pyllama.hub import check_gguf
from pyllama.hub.ggml_types import TENSOR_TYPES

VENDORED = Path(__file__).parents[2] / "vendor" / "llama.cpp"
U32, STRING, ARRAY = 4, 8, 9
F32, Q4_0, UNKNOWN = 0, 2, 999


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def key(name: bytes, value_type: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", value_type) + value


def tensor(name: bytes, dims: tuple[int, ...], tensor_type: int, offset: int) -> bytes:
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return text(name) + shape + struct.pack("<IQ", tensor_type, offset)


def head(n_tensors: int, n_keys: int, version: int = 3, magic: bytes = b"GGUF") -> bytes:
    return struct.pack("<4sIQQ", magic, version, n_tensors, n_keys)


def model(tensor_type: int = F32, alignment: int = 32) -> bytes:
    """A file of two tensors: 64 elements at 0, and 32 after them."""
    keys = key(b"general.alignment", U32, struct.pack("<I", alignment))
    words = b"".join(text(word) for word in (b"a", b"", b"\xff" * 300))
    keys += key(b"tokens", ARRAY, struct.pack("<IQ", STRING, 3) + words)
    keys += key(b"scores", ARRAY, struct.pack("<IQ", 6, 2) + bytes(8))
    infos = tensor(b"first", (32, 2), tensor_type, 0) + tensor(b"second", (32,), F32, 256)
    header = head(2, 3) + keys + infos
    return header + bytes(-len(header) % alignment) + bytes(256 + 32 * 4)


def reason(path: Path, content: bytes) -> str:
    """Write a file that must be refused, and return why it was."""
    path.write_bytes(content)
    with pytest.raises(ModelLoadError) as caught:
        check_gguf(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


@pytest.mark.parametrize("alignment", [1, 32, 4096])
@pytest.mark.parametrize("tensor_type", [F32, Q4_0, UNKNOWN])
def test_a_whole_file_passes(path: Path, tensor_type: int, alignment: int) -> None:
    """A file that ends with its last tensor passes, also where a tensor's type is unknown."""
    path.write_bytes(model(tensor_type, alignment))
    check_gguf(path)


@pytest.mark.parametrize("alignment", [1, 32, 4096])
def test_one_byte_less_is_truncated(path: Path, alignment: int) -> None:
    """The bytes needed are counted exactly, alignment included."""
    whole = model(alignment=alignment)
    said = reason(path, whole[:-1])
    assert f"truncated: needs {len(whole)} bytes, has {len(whole) - 1}." in said


@given(n_bytes=st.integers(0, len(model()) - 1))
@settings(max_examples=60, deadline=None)
def test_every_cut_is_refused(tmp_path_factory: pytest.TempPathFactory, n_bytes: int) -> None:
    """Wherever a download broke off, the file is refused with a reason."""
    path = tmp_path_factory.getbasetemp() / "cut.gguf"
    said = reason(path, model()[:n_bytes])
    assert "empty" in said if n_bytes == 0 else "truncated" in said


@given(at=st.integers(4, len(model()) - 1), byte=st.integers(0, 255))
@settings(max_examples=200, deadline=2000)
def test_a_damaged_byte_never_breaks_the_check(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    """Whatever the bytes say, the answer is yes or ModelLoadError, in bounded time."""
    content = bytearray(model())
    content[at] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(content)
    try:
        check_gguf(path)
    except ModelLoadError as error:
        assert error.reason  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"PK\x03\x04 and so on, long enough", "zip archive"),
        (b"<!DOCTYPE html><html><body></body></html>", "web page"),
        (b"\n<html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"tjgg" + bytes(40), "before GGUF"),
        (b'\x10\0\0\0\0\0\0\0{"__metadata__": {}}', "safetensors"),
        (b"something else that is longer than a header", "starts with b'somethin'"),
        (b"short", "starts with b'short'"),
    ],
)
def test_other_files_are_named(path: Path, start: bytes, said: str) -> None:
    """What is handed over by mistake is recognised by its first bytes."""
    message = reason(path, start)
    assert "not a GGUF file: starts with" in message
    assert said in message


@pytest.mark.parametrize(
    ("version", "said"), [(1, "version 1"), (4, "Upgrade"), (0x03000000, "byte order")]
)
def test_versions_that_are_not_read(path: Path, version: int, said: str) -> None:
    """A version too old, too new, or byte-swapped is told apart."""
    assert said in reason(path, head(0, 0, version))


def vocabulary(*tokens: bytes, tokenizer: bytes = b"llama") -> bytes:
    """Return a file of nothing but a vocabulary."""
    words = b"".join(text(token) for token in tokens)
    keys = key(b"tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, len(tokens)) + words)
    return head(0, 2) + keys + key(b"tokenizer.ggml.model", STRING, text(tokenizer))


def test_a_token_that_occurs_twice_is_refused(path: Path) -> None:
    """llama.cpp would end the process on a repeated token; only empty ones may repeat."""
    assert "'b' twice" in reason(path, vocabulary(b"a", b"b", b"c", b"b"))
    for whole in (
        vocabulary(b"a", b"", b"", b"b"),
        vocabulary(b"a", b"a", tokenizer=b"hybriddna"),
    ):
        path.write_bytes(whole)
        check_gguf(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (head(2**40, 0), "claims 1099511627776 tensors"),
        (head(0, 2**63), "claims 9223372036854775808 keys"),
        (head(0, 1) + key(b"k", ARRAY, struct.pack("<IQ", STRING, 2**60)), "strings"),
        (head(0, 1) + key(b"k", ARRAY, struct.pack("<IQ", U32, 2**62)), "truncated"),
        (head(0, 1) + struct.pack("<Q", 2**63), "truncated"),
        (head(0, 1) + key(b"k", 77, b""), "'k' has a value of unknown type 77"),
        (head(0, 1) + key(b"k", ARRAY, struct.pack("<IQ", ARRAY, 1)), "unknown type 9"),
        (head(0, 1) + key(b"general.alignment", U32, struct.pack("<I", 0)), "power of 2"),
        (head(0, 1) + key(b"general.alignment", U32, struct.pack("<I", 48)), "power of 2"),
        (head(1, 0) + tensor(b"t", (1, 1, 1, 1, 1), F32, 0), "'t' has 5 dimensions"),
        (head(1, 0) + tensor(b"t", (2**63, 2**63), F32, 0), "truncated"),
        (head(1, 0) + tensor(b"t", (1,), F32, 2**63), "truncated"),
    ],
)
def test_hostile_counts_end_at_once(path: Path, content: bytes, said: str) -> None:
    """A count that the file cannot hold is refused without walking or allocating that much."""
    start = time.perf_counter()
    assert said in reason(path, content)
    assert time.perf_counter() - start < 1


def test_a_large_vocabulary_is_quick(path: Path) -> None:
    """Half a million strings take tens of milliseconds (35 to 40 measured), not seconds."""
    words = b"".join(text(b"x" * (1 + i % 13)) for i in range(500_000))
    path.write_bytes(head(0, 1) + key(b"k", ARRAY, struct.pack("<IQ", STRING, 500_000) + words))
    start = time.perf_counter()
    check_gguf(path)
    # The bound leaves room for a busy machine; a walk that builds a list of strings passes it.
    assert time.perf_counter() - start < 0.5


def test_a_missing_file_is_not_found(path: Path) -> None:
    """A file that went away is ModelNotFound, as everywhere else."""
    with pytest.raises(ModelNotFound, match="no such file"):
        check_gguf(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A folder is refused, and so is a pipe, which would keep its reader waiting."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ModelLoadError, match="not a file"):
            check_gguf(path)


def test_an_unreadable_file_says_why(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operating system error becomes ModelLoadError with its own words."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path.write_bytes(model())
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelLoadError, match="cannot be read: Permission denied"):
        check_gguf(path)


def test_real_files_pass() -> None:
    """The vocabularies that come with llama.cpp are read to their end."""
    files = sorted(VENDORED.glob("models/*.gguf"))
    if not files:
        pytest.skip("vendor/llama.cpp is not here")
    for file in files:
        check_gguf(file)


def test_every_tensor_type_is_known() -> None:
    """The table has exactly the types that ggml.h has, so that no new one goes uncounted."""
    header = VENDORED / "ggml" / "include" / "ggml.h"
    if not header.exists():
        pytest.skip("vendor/llama.cpp is not here")
    enum = header.read_text(encoding="utf-8").partition("enum ggml_type {")[2].partition("}")[0]
    numbers = re.findall(r"^\s*GGML_TYPE_(?!COUNT)\w+\s*=\s*(\d+)", enum, re.MULTILINE)
    assert set(TENSOR_TYPES) == {int(number) for number in numbers}
