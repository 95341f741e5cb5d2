"""llama.cpp's option table, and one set of option values."""

import json

from pyllama._ext.bridge cimport (
    pyl_options_finish,
    pyl_options_free,
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
        name = arg.encode()
        first = None if value is None else value.encode()
        second = None if value2 is None else value2.encode()
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

    def values(self):
        return json.loads(take_text(pyl_options_values(self.ptr), "pyl_options_values"))

    def _refuse(self, what):
        try:
            fail("pyl_options_set")
        except NativeError as error:
            raise ConfigError(f"{what}: {str(error.detail).strip()}") from None
