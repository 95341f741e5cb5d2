"""Ends native work that takes long where its caller wants no more."""

import threading

from pyllama._ext.bridge cimport pyl_set_look

_local = threading.local()
cdef object _check = None


def install(check not None):
    global _check
    _check = check
    pyl_set_look(_look)


def take_interrupt():
    error = getattr(_local, "error", None)
    _local.error = None
    return error


cdef int _look() noexcept with gil:
    # Python code also handles signals: Ctrl-C ends what the main thread waits for.
    try:
        _check()
    except BaseException as error:
        _local.error = error
        return 0
    return 1
