"""Pictures and sound: what a text model sees of them, and its KV cells."""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t

from pyllama._ext.bridge cimport (
    pyl_chunk,
    pyl_media,
    pyl_media_chunk,
    pyl_media_decode,
    pyl_media_encode,
    pyl_media_free,
    pyl_media_n_chunks,
    pyl_media_picture,
    pyl_media_sound,
    pyl_process_id,
    pyl_projector,
    pyl_projector_describe,
    pyl_projector_free,
    pyl_projector_info,
    pyl_projector_new,
)
from pyllama._ext.check cimport fail
from pyllama._ext.context cimport Context
from pyllama._ext.llama cimport llama_context, llama_n_batch, llama_n_ubatch
from pyllama._ext.model cimport Model
from pyllama._ext.options cimport Options

from pyllama._ext import backend
from pyllama.errors import NativeError


cdef class Projector:
    cdef pyl_projector * ptr
    cdef pyl_projector_info info
    cdef int _process
    # Its vocabulary is read whenever media are cut.
    cdef Model model

    def __cinit__(self, Model model not None, path, Options options=None):
        backend.initialise()
        self._process = pyl_process_id()
        self.model = model
        options = model.options if options is None else options
        options.finish()
        name = os.fsencode(path)
        if b"\0" in name:
            raise ValueError("the path holds a NUL character")
        cdef const char * c_path = name
        # SAFETY: `name` and `options` outlive the call; no Python object is touched inside.
        with nogil:
            self.ptr = pyl_projector_new(options.ptr, model.ptr, c_path)
        if self.ptr is NULL:
            fail("mtmd_init_from_file")
        pyl_projector_describe(self.ptr, &self.info)

    def __dealloc__(self):
        # With the last reference, as the model: other threads may be cutting pictures.
        if self.ptr is not NULL and self._process == pyl_process_id():
            pyl_projector_free(self.ptr)

    @property
    def has_vision(self):
        return bool(self.info.has_vision)

    @property
    def has_audio(self):
        return bool(self.info.has_audio)

    @property
    def is_mrope(self):
        return bool(self.info.is_mrope)

    @property
    def sample_rate(self):
        return self.info.sample_rate if self.info.has_audio else None

    @property
    def n_embd(self):
        return self.info.n_embd

    def picture(self, bytes rgb not None, int width, int height):
        # Past these sizes mtmd's own arithmetic is in 32 bits.
        if not (0 < width <= 1 << 15 and 0 < height <= 1 << 15):
            raise ValueError(f"a picture of {width} x {height} pixels")
        if len(rgb) != 3 * width * height:
            raise ValueError(f"{len(rgb)} bytes for {width} x {height} pixels")
        if not self.info.has_vision:
            raise ValueError("the projector takes no pictures")
        cdef const char * data = rgb
        cdef _Media media = _Media(self)
        with nogil:
            media.ptr = pyl_media_picture(self.ptr, width, height, data)
        return media.pieces()

    def sound(self, bytes samples not None):
        cdef size_t n_samples = len(samples) // sizeof(float)
        # mtmd ends the process where there is one sample only.
        if len(samples) % sizeof(float) or n_samples < 2:
            raise ValueError(f"{len(samples)} bytes are no sound")
        if not self.info.has_audio:
            raise ValueError("the projector takes no sound")
        cdef const float * data = <const float *> PyBytes_AS_STRING(samples)
        cdef _Media media = _Media(self)
        with nogil:
            media.ptr = pyl_media_sound(self.ptr, data, n_samples)
        return media.pieces()


cdef class _Media:
    """The chunks of one picture or sound; freed with the last of them."""
    cdef pyl_media * ptr
    cdef Projector projector

    def __cinit__(self, Projector projector not None):
        self.projector = projector

    def __dealloc__(self):
        if self.ptr is not NULL:
            pyl_media_free(self.ptr)

    cdef tuple pieces(self):
        if self.ptr is NULL:
            fail("mtmd_tokenize_from_parts")
        cdef pyl_chunk chunk
        found = []
        for index in range(pyl_media_n_chunks(self.ptr)):
            pyl_media_chunk(self.ptr, index, &chunk)
            if chunk.tokens is NULL:
                found.append(MediaChunk(self, index))
            else:
                found.append(tuple([chunk.tokens[i] for i in range(chunk.n_tokens)]))
        return tuple(found)


cdef class MediaChunk:
    cdef _Media media
    cdef size_t index
    cdef pyl_chunk chunk

    def __cinit__(self, _Media media not None, size_t index):
        self.media = media
        self.index = index
        pyl_media_chunk(media.ptr, index, &self.chunk)

    @property
    def n_tokens(self):
        return self.chunk.n_tokens

    @property
    def n_pos(self):
        return self.chunk.n_pos

    @property
    def is_causal(self):
        return bool(self.chunk.is_causal)

    def encode(self):
        cdef const pyl_media * media = self.media.ptr
        cdef bytes data = PyBytes_FromStringAndSize(NULL, self._n_bytes())
        cdef float * embeddings = <float *> PyBytes_AS_STRING(data)
        cdef bint is_done
        # SAFETY: `data` is new, so nobody else sees it change.
        with nogil:
            is_done = pyl_media_encode(media, self.index, embeddings)
        if not is_done:
            fail("mtmd_encode_chunk")
        return data

    def decode(self, Context context not None, bytes embeddings not None, int start, int seq_id):
        cdef llama_context * ctx = context.checked()
        cdef const pyl_media * media = self.media.ptr
        cdef const float * values = <const float *> PyBytes_AS_STRING(embeddings)
        cdef int32_t status = -1
        cdef bint is_done
        context.check_seq(seq_id)
        if context.model is not self.media.projector.model:
            raise ValueError("the chunk was made for another model")
        if len(embeddings) != self._n_bytes():
            raise ValueError(f"{len(embeddings)} bytes for {self.chunk.n_tokens} embeddings")
        if start < 0:
            raise ValueError(f"position {start}")
        # llama.cpp ends the process where what sees all of itself does not fit one micro-batch.
        if not self.chunk.is_causal and self.chunk.n_tokens > min(
                llama_n_batch(ctx), llama_n_ubatch(ctx)):
            raise ValueError(f"{self.chunk.n_tokens} tokens at once, more than a micro-batch takes")
        with nogil:
            is_done = pyl_media_decode(media, self.index, ctx, values, start, seq_id, &status)
        if not is_done:
            fail("llama_decode")
        if status < 0:
            raise NativeError("llama_decode", status)
        return status

    cdef Py_ssize_t _n_bytes(self):
        return <Py_ssize_t> self.chunk.n_tokens * self.media.projector.info.n_embd * sizeof(float)
