# The part of ggml.h and ggml-backend.h that pyllama uses, in header order.

cdef extern from "stdbool.h" nogil:
    ctypedef bint c_bool "bool"


cdef extern from "ggml.h" nogil:
    enum ggml_log_level:
        GGML_LOG_LEVEL_NONE
        GGML_LOG_LEVEL_DEBUG
        GGML_LOG_LEVEL_INFO
        GGML_LOG_LEVEL_WARN
        GGML_LOG_LEVEL_ERROR
        GGML_LOG_LEVEL_CONT

    ctypedef void (*ggml_log_callback)(
        ggml_log_level level, const char * text, void * user_data) noexcept
    ctypedef c_bool (*ggml_abort_callback)(void * data) noexcept


cdef extern from "ggml-backend.h" nogil:
    struct ggml_backend_device:
        pass
    ctypedef ggml_backend_device * ggml_backend_dev_t

    enum ggml_backend_dev_type:
        GGML_BACKEND_DEVICE_TYPE_CPU
        GGML_BACKEND_DEVICE_TYPE_GPU
        GGML_BACKEND_DEVICE_TYPE_IGPU
        GGML_BACKEND_DEVICE_TYPE_ACCEL

    const char * ggml_backend_dev_name(ggml_backend_dev_t device)
    const char * ggml_backend_dev_description(ggml_backend_dev_t device)
    void ggml_backend_dev_memory(ggml_backend_dev_t device, size_t * free, size_t * total)
    ggml_backend_dev_type ggml_backend_dev_get_type "ggml_backend_dev_type"(
        ggml_backend_dev_t device)
    size_t ggml_backend_dev_count()
    ggml_backend_dev_t ggml_backend_dev_get(size_t index)
    void ggml_backend_load_all_from_path(const char * dir_path)
