"""The process-wide part of llama.cpp: backends, devices, the log."""

import collections
import logging
import os
import threading

from pyllama._ext.bridge cimport pyl_install_kernels, pyl_is_fitting, pyl_quiet_common_log
from pyllama._ext.ggml cimport (
    GGML_BACKEND_DEVICE_TYPE_ACCEL,
    GGML_BACKEND_DEVICE_TYPE_CPU,
    GGML_BACKEND_DEVICE_TYPE_GPU,
    GGML_BACKEND_DEVICE_TYPE_IGPU,
    GGML_LOG_LEVEL_CONT,
    GGML_LOG_LEVEL_DEBUG,
    GGML_LOG_LEVEL_ERROR,
    GGML_LOG_LEVEL_INFO,
    GGML_LOG_LEVEL_WARN,
    ggml_backend_dev_count,
    ggml_backend_dev_description,
    ggml_backend_dev_get,
    ggml_backend_dev_get_type,
    ggml_backend_dev_memory,
    ggml_backend_dev_name,
    ggml_backend_dev_t,
    ggml_backend_load_all_from_path,
    ggml_log_level,
)
from pyllama._ext.llama cimport (
    llama_backend_init,
    llama_log_set,
    llama_max_parallel_sequences,
    llama_print_system_info,
    llama_supports_gpu_offload,
    llama_supports_mlock,
    llama_supports_mmap,
    llama_version,
)

_logger = logging.getLogger("pyllama.native")
_lock = threading.Lock()
_is_initialised = False
_last_level = logging.INFO
_are_kernels_wanted = None
_kernels = ""

_LEVELS = {
    GGML_LOG_LEVEL_DEBUG: logging.DEBUG,
    # llama.cpp's INFO is a page a model load: it is our DEBUG.
    GGML_LOG_LEVEL_INFO: logging.DEBUG,
    GGML_LOG_LEVEL_WARN: logging.WARNING,
    GGML_LOG_LEVEL_ERROR: logging.ERROR,
}

_KINDS = {
    GGML_BACKEND_DEVICE_TYPE_CPU: "cpu",
    GGML_BACKEND_DEVICE_TYPE_GPU: "gpu",
    GGML_BACKEND_DEVICE_TYPE_IGPU: "igpu",
    GGML_BACKEND_DEVICE_TYPE_ACCEL: "accel",
}


cdef extern from "Python.h":
    int Py_AddPendingCall(int (*function)(void *) except -1, void * argument)
    unsigned long PyThread_get_thread_ident()


# What signal handlers raised in the middle of log lines, to be raised again.
_interruptions = collections.deque()
cdef unsigned long _main_thread = threading.main_thread().ident


cdef int _interrupt(void * unused) except -1:
    raise _interruptions.popleft()


cdef void _on_log(ggml_log_level level, const char * text, void * user_data) noexcept with gil:
    # Called from any thread of llama.cpp; nothing may escape into C.
    global _last_level
    is_main = PyThread_get_thread_ident() == _main_thread
    if is_main and _interruptions:
        # It would be raised here once more, and might be taken for a fault of a log's handler.
        return
    try:
        if level != GGML_LOG_LEVEL_CONT:
            _last_level = _LEVELS.get(level, logging.DEBUG)
            if pyl_is_fitting() and level != GGML_LOG_LEVEL_ERROR:
                _last_level = logging.DEBUG
        message = text.decode("utf-8", "replace").strip()
        # Progress dots come one at a time, as continuations: they say nothing in a log.
        if message.strip("."):
            _logger.log(_last_level, "%s", message)
    except BaseException as error:  # noqa: B036
        # Python runs the handlers of signals between any two of its instructions on the main
        # thread, those above among them: a Ctrl-C lost here would never be heard of again.
        if is_main:
            _interruptions.append(error)
            Py_AddPendingCall(_interrupt, NULL)


def initialise():
    global _is_initialised
    folder = os.fsencode(os.path.join(os.path.dirname(os.path.dirname(__file__)), "lib"))
    cdef const char * path = folder
    with _lock:
        if _is_initialised:
            return
        llama_log_set(_on_log, NULL)
        pyl_quiet_common_log()
        # Where the backends are plain libraries they are linked already, and this finds none.
        with nogil:
            ggml_backend_load_all_from_path(path)
            llama_backend_init()
        _is_initialised = True


def use_kernels(wanted=None):
    global _are_kernels_wanted, _kernels
    initialise()
    with _lock:
        if _are_kernels_wanted is None:
            _are_kernels_wanted = wanted is not False
            if _are_kernels_wanted:
                _kernels = pyl_install_kernels().decode()
        elif wanted is not None and wanted != _are_kernels_wanted:
            state = "on" if _are_kernels_wanted else "off"
            raise ValueError(f"kernels are {state} since the process loaded its first model")
        return _kernels


def devices():
    initialise()
    cdef size_t free = 0
    cdef size_t total = 0
    cdef ggml_backend_dev_t device
    found = []
    for index in range(ggml_backend_dev_count()):
        device = ggml_backend_dev_get(index)
        ggml_backend_dev_memory(device, &free, &total)
        found.append({
            "name": ggml_backend_dev_name(device).decode(),
            "description": ggml_backend_dev_description(device).decode("utf-8", "replace"),
            "kind": _KINDS.get(ggml_backend_dev_get_type(device), "other"),
            "free_bytes": free,
            "total_bytes": total,
        })
    return found


def system_info():
    initialise()
    return llama_print_system_info().decode("utf-8", "replace").strip()


def llama_cpp_version():
    return llama_version().decode()


def features():
    return {
        "mmap": bool(llama_supports_mmap()),
        "mlock": bool(llama_supports_mlock()),
        "gpu_offload": bool(llama_supports_gpu_offload()),
        "max_sequences": llama_max_parallel_sequences(),
    }
