from pyllama._ext.llama cimport llama_batch


cdef class Batch:
    cdef llama_batch raw
    cdef readonly int capacity
