"""A loaded model: its weights and its metadata."""

import os
import warnings

from pyllama._ext.bridge cimport pyl_last_error, pyl_model_load
from pyllama._ext.llama cimport (
    llama_model,
    llama_model_desc,
    llama_model_free,
    llama_model_has_decoder,
    llama_model_has_encoder,
    llama_model_is_diffusion,
    llama_model_is_hybrid,
    llama_model_is_recurrent,
    llama_model_meta_count,
    llama_model_meta_key_by_index,
    llama_model_meta_val_str_by_index,
    llama_model_n_ctx_train,
    llama_model_n_embd,
    llama_model_n_head,
    llama_model_n_head_kv,
    llama_model_n_layer,
    llama_model_n_params,
    llama_model_n_swa,
    llama_model_size,
)
from pyllama._ext.options cimport Options

from pyllama.errors import NativeError

from pyllama._ext import backend


cdef class Model:

    def __cinit__(self, path, Options options not None):
        backend.initialise()
        self.options = options
        self.path = os.fspath(path)
        options.finish()
        name = os.fsencode(self.path)
        cdef const char * c_path = name
        # SAFETY: `name` and `options` outlive the call; no Python object is touched inside.
        with nogil:
            self.ptr = pyl_model_load(options.ptr, c_path)
        if self.ptr is NULL:
            raise NativeError("llama_model_load_from_file", pyl_last_error().decode("utf-8", "replace"))

    def __dealloc__(self):
        if self.ptr is not NULL:
            warnings.warn(f"model {self.path!r} was never closed", ResourceWarning, source=self)
            llama_model_free(self.ptr)

    cdef llama_model * checked(self) except NULL:
        if self.ptr is NULL:
            raise RuntimeError("the model is closed")
        return self.ptr

    def close(self):
        cdef llama_model * ptr = self.ptr
        self.ptr = NULL
        if ptr is not NULL:
            with nogil:
                llama_model_free(ptr)

    def metadata(self):
        cdef llama_model * ptr = self.checked()
        found = {}
        for i in range(llama_model_meta_count(ptr)):
            found[_key(ptr, i)] = _value(ptr, i)
        return found

    @property
    def is_open(self):
        return self.ptr is not NULL

    @property
    def description(self):
        cdef char buf[256]
        llama_model_desc(self.checked(), buf, sizeof(buf))
        return (<bytes> buf).decode("utf-8", "replace")

    @property
    def n_ctx_train(self):
        return llama_model_n_ctx_train(self.checked())

    @property
    def n_embd(self):
        return llama_model_n_embd(self.checked())

    @property
    def n_layer(self):
        return llama_model_n_layer(self.checked())

    @property
    def n_head(self):
        return llama_model_n_head(self.checked())

    @property
    def n_head_kv(self):
        return llama_model_n_head_kv(self.checked())

    @property
    def n_swa(self):
        return llama_model_n_swa(self.checked())

    @property
    def n_params(self):
        return llama_model_n_params(self.checked())

    @property
    def size_bytes(self):
        return llama_model_size(self.checked())

    @property
    def has_encoder(self):
        return bool(llama_model_has_encoder(self.checked()))

    @property
    def has_decoder(self):
        return bool(llama_model_has_decoder(self.checked()))

    @property
    def is_recurrent(self):
        return bool(llama_model_is_recurrent(self.checked()))

    @property
    def is_hybrid(self):
        return bool(llama_model_is_hybrid(self.checked()))

    @property
    def is_diffusion(self):
        return bool(llama_model_is_diffusion(self.checked()))


cdef str _key(llama_model * ptr, int i):
    cdef char buf[512]
    llama_model_meta_key_by_index(ptr, i, buf, sizeof(buf))
    return (<bytes> buf).decode("utf-8", "replace")


cdef str _value(llama_model * ptr, int i):
    cdef char probe[1]
    # snprintf's convention: the length that the whole text needs.
    cdef int length = llama_model_meta_val_str_by_index(ptr, i, probe, sizeof(probe))
    if length < 0:
        return ""
    text = bytearray(length + 1)
    cdef char * buf = text
    llama_model_meta_val_str_by_index(ptr, i, buf, length + 1)
    return bytes(text[:length]).decode("utf-8", "replace")
