"""A loaded model: its weights and its metadata."""

import os

from pyllama._ext.bridge cimport pyl_model_free, pyl_model_load, pyl_process_id
from pyllama._ext.check cimport fail
from pyllama._ext.llama cimport (
    llama_model,
    llama_model_desc,
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
    llama_model_n_embd_out,
    llama_model_n_head,
    llama_model_n_head_kv,
    llama_model_n_layer,
    llama_model_n_params,
    llama_model_n_swa,
    llama_model_size,
)
from pyllama._ext.options cimport Options

from pyllama._ext import backend


cdef class Model:

    def __cinit__(self, path, Options options not None, *, bint is_trial=False):
        self._process = pyl_process_id()
        backend.use_kernels()
        self.options = options
        self.path = os.fspath(path)
        options.finish()
        name = os.fsencode(self.path)
        if b"\0" in name:
            raise ValueError("the path holds a NUL character")
        cdef const char * c_path = name
        # SAFETY: `name` and `options` outlive the call; no Python object is touched inside.
        with nogil:
            self.ptr = pyl_model_load(options.ptr, c_path, is_trial)
        if self.ptr is NULL:
            fail("llama_model_load_from_file")

    def __dealloc__(self):
        # With the last reference, not by a close(): vocabularies, templates and samplers of other
        # threads may be reading the weights' metadata at any time.
        if self.ptr is not NULL and self._process == pyl_process_id():
            with nogil:
                pyl_model_free(self.ptr)

    def metadata(self):
        cdef llama_model * ptr = self.ptr
        found = {}
        for i in range(llama_model_meta_count(ptr)):
            found[_key(ptr, i)] = _value(ptr, i)
        return found

    @property
    def description(self):
        cdef char buf[256]
        llama_model_desc(self.ptr, buf, sizeof(buf))
        return (<bytes> buf).decode("utf-8", "replace")

    @property
    def n_ctx_train(self):
        return llama_model_n_ctx_train(self.ptr)

    @property
    def n_embd(self):
        return llama_model_n_embd(self.ptr)

    @property
    def n_embd_out(self):
        return llama_model_n_embd_out(self.ptr)

    @property
    def n_layer(self):
        return llama_model_n_layer(self.ptr)

    @property
    def n_head(self):
        return llama_model_n_head(self.ptr)

    @property
    def n_head_kv(self):
        return llama_model_n_head_kv(self.ptr)

    @property
    def n_swa(self):
        return llama_model_n_swa(self.ptr)

    @property
    def n_params(self):
        return llama_model_n_params(self.ptr)

    @property
    def size_bytes(self):
        return llama_model_size(self.ptr)

    @property
    def has_encoder(self):
        return bool(llama_model_has_encoder(self.ptr))

    @property
    def has_decoder(self):
        return bool(llama_model_has_decoder(self.ptr))

    @property
    def is_recurrent(self):
        return bool(llama_model_is_recurrent(self.ptr))

    @property
    def is_hybrid(self):
        return bool(llama_model_is_hybrid(self.ptr))

    @property
    def is_diffusion(self):
        return bool(llama_model_is_diffusion(self.ptr))


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
