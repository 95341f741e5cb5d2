"""Graphs of ggml, computed by the libraries that pyllama ships: what a kernel is held against."""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from pyllama._ext import backend

LIBRARIES = Path(backend.__file__).parents[1] / "lib"

_CPU = 0
_pointer = ctypes.c_void_p
_long = ctypes.c_int64


class Type(IntEnum):
    """Of a tensor's elements, as in ``ggml_type``."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q8_0 = 8
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14


class _InitParams(ctypes.Structure):
    _fields_ = (
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", _pointer),
        ("no_alloc", ctypes.c_bool),
    )


def _library() -> ctypes.CDLL:
    # The extension's libraries are there by now: these are the same, with what was installed.
    backend.use_kernels()
    (path,) = LIBRARIES.glob("libggml-base.*")
    return ctypes.CDLL(str(path))


_base = _library()
_ggml = ctypes.CDLL(str(next(LIBRARIES.glob("libggml.*"))))


def _function(
    name: str, result: Any, *arguments: Any, library: ctypes.CDLL = _base
) -> Callable[..., Any]:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    called: Callable[..., Any] = function
    return called


_init = _function("ggml_init", _pointer, _InitParams)
_free = _function("ggml_free", None, _pointer)
_new_tensor = _function("ggml_new_tensor_4d", _pointer, _pointer, ctypes.c_int, *[_long] * 4)
_mul_mat = _function("ggml_mul_mat", _pointer, _pointer, _pointer, _pointer)
_cast = _function("ggml_cast", _pointer, _pointer, _pointer, ctypes.c_int)
_reshape = _function("ggml_reshape_4d", _pointer, _pointer, _pointer, *[_long] * 4)
_permute = _function("ggml_permute", _pointer, _pointer, _pointer, *[ctypes.c_int] * 4)
_attention = _function("ggml_flash_attn_ext", _pointer, *[_pointer] * 5, *[ctypes.c_float] * 3)
_add_sinks = _function("ggml_flash_attn_ext_add_sinks", None, _pointer, _pointer)
_new_graph = _function("ggml_new_graph", _pointer, _pointer)
_expand = _function("ggml_build_forward_expand", None, _pointer, _pointer)
_n_bytes = _function("ggml_nbytes", ctypes.c_size_t, _pointer)
_quantise = _function(
    "ggml_quantize_chunk", ctypes.c_size_t, ctypes.c_int, _pointer, _pointer, *[_long] * 3, _pointer
)
_row_size = _function("ggml_row_size", ctypes.c_size_t, ctypes.c_int, _long)
_to_half = _function("ggml_fp32_to_fp16_row", None, _pointer, _pointer, _long)

_device_by_type = _function("ggml_backend_dev_by_type", _pointer, ctypes.c_int, library=_ggml)
_device_registry = _function("ggml_backend_dev_backend_reg", _pointer, _pointer)
_proc_address = _function("ggml_backend_reg_get_proc_address", _pointer, _pointer, ctypes.c_char_p)
_device_init = _function("ggml_backend_dev_init", _pointer, _pointer, ctypes.c_char_p)
_backend_free = _function("ggml_backend_free", None, _pointer)
_buffer_type = _function("ggml_backend_dev_buffer_type", _pointer, _pointer)
_buffer_type_name = _function("ggml_backend_buft_name", ctypes.c_char_p, _pointer)
_allocate = _function("ggml_backend_alloc_ctx_tensors_from_buft", _pointer, _pointer, _pointer)
_buffer_free = _function("ggml_backend_buffer_free", None, _pointer)
_set = _function("ggml_backend_tensor_set", None, _pointer, _pointer, *[ctypes.c_size_t] * 2)
_get = _function("ggml_backend_tensor_get", None, _pointer, _pointer, *[ctypes.c_size_t] * 2)
_compute = _function("ggml_backend_graph_compute", ctypes.c_int, _pointer, _pointer)

_cpu = _device_by_type(_CPU)


def _of_cpu(name: bytes, result: Any, *arguments: Any) -> Callable[..., Any]:
    address = _proc_address(_device_registry(_cpu), name)
    return ctypes.CFUNCTYPE(result, *arguments)(address)


_set_n_threads = _of_cpu(b"ggml_backend_set_n_threads", None, _pointer, ctypes.c_int)
_set_use_reference = _of_cpu(b"ggml_backend_cpu_set_use_ref", None, _pointer, ctypes.c_bool)


def _buffer_types() -> dict[str, int]:
    extra = _of_cpu(b"ggml_backend_dev_get_extra_bufts", ctypes.POINTER(_pointer), _pointer)(_cpu)
    found = {"": _buffer_type(_cpu)}
    for i in range(16):
        if not extra[i]:
            break
        found[_buffer_type_name(extra[i]).decode()] = extra[i]
    return found


class Graph:
    """Tensors of one buffer type, and operations on those of any."""

    def __init__(self, buffer_type: str = "") -> None:
        self._context = _init(_InitParams(mem_size=1 << 22, no_alloc=True))
        self._type = _buffer_types()[buffer_type]
        self._buffers: list[int] = []

    def tensor(self, kind: Type, *shape: int) -> int:
        """Make a tensor; its data comes later."""
        tensor: int = _new_tensor(self._context, kind, *shape, *[1] * (4 - len(shape)))
        return tensor

    def product(self, weights: int, rows: int) -> int:
        """Multiply: [n, m] and [n, rows] give [m, rows]."""
        product: int = _mul_mat(self._context, weights, rows)
        return product

    def wide(self, tensor: int) -> int:
        """Turn a tensor into 32-bit floats."""
        cast: int = _cast(self._context, tensor, Type.F32)
        return cast

    def reshaped(self, tensor: int, *shape: int) -> int:
        """View a tensor's data in another shape of four dimensions."""
        view: int = _reshape(self._context, tensor, *shape)
        return view

    def swap_rows_and_heads(self, tensor: int) -> int:
        """View [d, heads, rows, streams] as [d, rows, heads, streams]."""
        view: int = _permute(self._context, tensor, 0, 2, 1, 3)
        return view

    def attention(
        self, queries: int, keys: int, values: int, mask: int, scale: float, *,
        max_bias: float = 0.0, cap: float = 0.0, sinks: int = 0,
    ) -> int:  # fmt: skip
        """Attend, as ``ggml_flash_attn_ext``."""
        result: int = _attention(self._context, queries, keys, values, mask, scale, max_bias, cap)
        if sinks:
            _add_sinks(result, sinks)
        return result

    def allocate(self) -> None:
        """Give memory to all tensors that have none."""
        self._buffers.append(_allocate(self._context, self._type))

    def compute(
        self, result: int, *, n_threads: int = 1, is_reference: bool = False
    ) -> array[float]:
        """Compute a tensor and what it depends on; ``is_reference`` with ggml's plainest code."""
        graph = _new_graph(self._context)
        _expand(graph, result)
        engine = _device_init(_cpu, None)
        _set_n_threads(engine, n_threads)
        _set_use_reference(engine, is_reference)
        status = _compute(engine, graph)
        _backend_free(engine)
        assert status == 0
        return read(result)

    def close(self) -> None:
        """Free the tensors."""
        for buffer in self._buffers:
            _buffer_free(buffer)
        _free(self._context)


@contextmanager
def graphs(*buffer_types: str) -> Iterator[list[Graph]]:
    """Make a graph for each buffer type, and free them."""
    made = [Graph(kind) for kind in buffer_types]
    try:
        yield made
    finally:
        for graph in made:
            graph.close()


def write(tensor: int, data: bytes) -> None:
    """Set a tensor's data, in ggml's layout."""
    assert len(data) == _n_bytes(tensor)
    if data:  # without, it has no memory
        _set(tensor, data, 0, len(data))


def write_floats(tensor: int, values: Sequence[float]) -> None:
    """Set a tensor of 32-bit floats."""
    write(tensor, array("f", values).tobytes())


def read(tensor: int) -> array[float]:
    """Return a tensor of 32-bit floats."""
    data = ctypes.create_string_buffer(_n_bytes(tensor))
    if len(data) > 0:
        _get(tensor, data, 0, len(data))
    return array("f", data.raw)


def halves(values: Sequence[float]) -> bytes:
    """Round to 16 bits."""
    wide = array("f", values)
    data = ctypes.create_string_buffer(2 * len(wide))
    _to_half(wide.buffer_info()[0], data, len(wide))
    return data.raw


def floats(kind: Type, data: bytes) -> bytes:
    """Widen numbers of 16 bits, or of Q8_0: a scale of 16 bits before each 32 numbers."""
    if kind is Type.F16:
        return array("f", struct.unpack(f"{len(data) // 2}e", data)).tobytes()
    assert kind is Type.Q8_0
    blocks = struct.iter_unpack("<e32b", data)
    return array("f", (scale * q for scale, *qs in blocks for q in qs)).tobytes()


def quantised(kind: Type, values: Sequence[float], n_columns: int) -> bytes:
    """Quantise rows as llama.cpp's own quantiser does."""
    wide = array("f", values)
    n_rows = len(wide) // n_columns
    data = ctypes.create_string_buffer(n_rows * _row_size(kind, n_columns))
    _quantise(kind, wide.buffer_info()[0], data, 0, n_rows, n_columns, None)
    return data.raw
