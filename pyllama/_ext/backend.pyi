"""The process-wide part of llama.cpp: backends, devices, the log.

Any thread may call these. llama.cpp's log lines go to the logger ``pyllama.native``, its INFO as
DEBUG; nothing is written to the terminal.
"""

from typing import TypedDict, type_check_only

@type_check_only
class Device(TypedDict):
    """One device that ggml can compute on."""

    name: str
    """The name by which ``--device`` selects it (``CPU``, ``CUDA0``)."""
    description: str
    kind: str
    """``cpu``, ``gpu``, ``igpu``, ``accel`` or ``other``."""
    free_bytes: int
    """Free memory now; what a backend cannot tell is 0."""
    total_bytes: int

@type_check_only
class Features(TypedDict):
    """What this build of llama.cpp can do."""

    mmap: bool
    mlock: bool
    gpu_offload: bool
    max_sequences: int
    """Sequence ids that one context may use."""

def initialise() -> None:
    """Load the backends and redirect the log; every call after the first does nothing.

    The other modules call it before they need it. Releases the GIL while backends load.

    Source: ``llama_backend_init``, ``ggml_backend_load_all_from_path``, ``llama_log_set``.
    """

def use_kernels(wanted: bool | None = None) -> str:
    """Settle whether pyllama's own kernels compute, for as long as the process runs.

    The first call does, or the first model that is loaded, which wants them. Threads that compute
    ask for a kernel without a lock, so there is no way back.

    Returns:
        The instructions that they are made of (``avx512``), or ``""``: they are off, or there are
        none for this processor or build.

    Raises:
        ValueError: another call wanted the opposite before.

    Source: ``ext/kernels``.
    """

def devices() -> list[Device]:
    """List the devices, in ggml's order: accelerators before the CPU.

    Source: ``ggml_backend_dev_count``, ``ggml_backend_dev_get``, ``ggml_backend_dev_memory``.
    """

def system_info() -> str:
    """Return one line about the CPU features and libraries that the backends use.

    Source: ``llama_print_system_info``.
    """

def llama_cpp_version() -> str:
    """Return the version of the llama.cpp tree that was built.

    Source: ``llama_version``.
    """

def features() -> Features:
    """Return what this build can do.

    Source: ``llama_supports_mmap``, ``llama_supports_mlock``, ``llama_supports_gpu_offload``,
    ``llama_max_parallel_sequences``.
    """
