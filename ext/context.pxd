from pyllama._ext.bridge cimport pyl_threads
from pyllama._ext.llama cimport llama_context
from pyllama._ext.model cimport Model
from pyllama._ext.options cimport Options


cdef class Context:
    cdef llama_context * ptr
    cdef pyl_threads * _threads
    cdef Model model
    cdef Options options
    cdef int _abort
    cdef int _process
    cdef int _n_vocab
    cdef int _n_seq_ids
    cdef int _n_draft_rows
    cdef int _n_threads_max
    cdef int _n_threads_batch_max
    cdef bint _embeds
    cdef readonly int n_rows
    cdef llama_context * checked(self) except NULL
    cdef int check_seq(self, int seq_id) except -1
