"""llama.cpp's option table, and one set of option values."""

import json
import os

from pyllama._ext.bridge cimport (
    pyl_options_cancel,
    pyl_options_finish,
    pyl_options_free,
    pyl_options_n_draft,
    pyl_options_new,
    pyl_options_set,
    pyl_options_table,
    pyl_options_values,
)
from pyllama._ext.check cimport fail, take_text

from pyllama.errors import ConfigError, NativeError

from pyllama._ext import backend


def option_table():
    # The handlers name devices and cache types, so the backends must be there.
    backend.initialise()
    return json.loads(take_text(pyl_options_table(), "pyl_options_table"))


cdef class Options:

    def __cinit__(self):
        backend.initialise()
        self.ptr = pyl_options_new()
        if self.ptr is NULL:
            fail("pyl_options_new")

    def __dealloc__(self):
        pyl_options_free(self.ptr)

    def set(self, str arg not None, str value=None, str value2=None):
        if self._is_finished:
            raise RuntimeError("finish() was called already")
        name = _to_c(arg, arg)
        first = None if value is None else _to_c(value, arg)
        second = None if value2 is None else _to_c(value2, arg)
        cdef const char * c_first = NULL
        cdef const char * c_second = NULL
        if first is not None:
            c_first = first
        if second is not None:
            c_second = second
        if not pyl_options_set(self.ptr, name, c_first, c_second):
            self._refuse(arg)

    def finish(self):
        if not self._is_finished:
            self._is_finished = True
            if not pyl_options_finish(self.ptr):
                self._refuse("options")

    def cancel(self):
        pyl_options_cancel(self.ptr)

    def values(self):
        return json.loads(take_text(pyl_options_values(self.ptr), "pyl_options_values"))

    @property
    def n_draft(self):
        return pyl_options_n_draft(self.ptr)

    def _refuse(self, what):
        try:
            fail("pyl_options_set")
        except NativeError as error:
            raise ConfigError(f"{what}: {str(error.detail).strip()}") from None


cdef bytes _to_c(str text, str arg):
    # As a command line passes it: bytes of a path that are no UTF-8 come back as they were.
    try:
        data = os.fsencode(text)
    except UnicodeEncodeError:
        raise ConfigError(f"{arg!r}: {text!r} cannot be encoded") from None
    if b"\0" in data:
        raise ConfigError(f"{arg!r}: {text!r} holds a NUL character")
    return data
