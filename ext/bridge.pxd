# The C face of llama-common: ext/bridge/bridge.h, in header order.

from libc.stdint cimport int32_t, uint16_t, uint32_t

from pyllama._ext.ggml cimport ggml_abort_callback
from pyllama._ext.llama cimport llama_batch, llama_context, llama_model, llama_pos, llama_seq_id
from pyllama._ext.llama cimport llama_token, llama_vocab


cdef extern from "bridge.h" nogil:
    const char * pyl_last_error()
    void pyl_free(char * text)
    ctypedef int (*pyl_look)() noexcept nogil
    void pyl_set_look(pyl_look look)
    int32_t pyl_process_id()
    void pyl_quiet_common_log()
    bint pyl_is_fitting()
    const char * pyl_install_kernels()

    ctypedef struct pyl_options
    char * pyl_options_table()
    pyl_options * pyl_options_new()
    void pyl_options_free(pyl_options * options)
    void pyl_options_cancel(pyl_options * options)
    bint pyl_options_set(
        pyl_options * options, const char * arg, const char * value, const char * value2)
    bint pyl_options_finish(pyl_options * options)
    char * pyl_options_values(const pyl_options * options)
    int32_t pyl_options_n_draft(const pyl_options * options)

    ctypedef struct pyl_threads
    void pyl_threads_free(pyl_threads * threads)

    llama_model * pyl_model_load(pyl_options * options, const char * path, bint is_trial)
    void pyl_model_free(llama_model * model)
    llama_context * pyl_context_new(
        pyl_options * options, llama_model * model, uint32_t n_ctx_default,
        uint32_t n_draft_rows, bint embeddings, ggml_abort_callback abort_callback,
        void * abort_data, pyl_threads ** threads)
    uint32_t pyl_n_outputs_max(const llama_model * model, uint32_t n_seq_max)
    bint pyl_decode(llama_context * ctx, const llama_batch * batch, int32_t * status)
    bint pyl_tokenize(
        const llama_vocab * vocab, const char * text, int32_t text_len, llama_token * tokens,
        int32_t n_tokens_max, bint add_special, bint parse_special, int32_t * n_tokens)

    ctypedef struct pyl_chat
    pyl_chat * pyl_chat_new(
        const llama_model * model, const char * template_override, bint use_jinja)
    void pyl_chat_free(pyl_chat * chat)
    char * pyl_chat_source(const pyl_chat * chat)
    char * pyl_chat_caps(const pyl_chat * chat)
    char * pyl_chat_apply(const pyl_chat * chat, const char * request)
    char * pyl_chat_generic_tools(const char * request)
    char * pyl_content_grammar(const char * parser)
    char * pyl_schema_grammar(const char * schema)

    ctypedef struct pyl_chat_parser
    pyl_chat_parser * pyl_chat_parser_new(const char * params)
    void pyl_chat_parser_free(pyl_chat_parser * parser)
    char * pyl_chat_parser_delimiters(const pyl_chat_parser * parser)
    char * pyl_chat_parser_parse(
        const pyl_chat_parser * parser, const char * text, size_t text_len)

    ctypedef struct pyl_sampler
    pyl_sampler * pyl_sampler_new(const llama_model * model, const char * params)
    void pyl_sampler_free(pyl_sampler * sampler)
    bint pyl_sampler_is_greedy(const pyl_sampler * sampler)
    int32_t pyl_sampler_n_candidates(const pyl_sampler * sampler)
    uint32_t pyl_sampler_seed(const pyl_sampler * sampler)
    bint pyl_sampler_has_given_up(const pyl_sampler * sampler)
    bint pyl_sampler_accept_prompt(
        pyl_sampler * sampler, const llama_token * tokens, size_t n_tokens)

    ctypedef struct pyl_pool
    pyl_pool * pyl_pool_new(int32_t n_threads)
    void pyl_pool_free(pyl_pool * pool)
    bint pyl_sample_rows(
        llama_context * ctx, pyl_pool * pool, pyl_sampler ** samplers, const int32_t * rows,
        size_t n, llama_token * tokens)
    bint pyl_sample_verify(
        llama_context * ctx, pyl_sampler * sampler, int32_t row, const llama_token * draft,
        size_t n_draft, llama_token * token, size_t * n_accepted)

    ctypedef struct pyl_logprob:
        llama_token token
        float logprob
    bint pyl_sampler_has_logprobs(const pyl_sampler * sampler)
    size_t pyl_sampler_n_reports(const pyl_sampler * sampler)
    const pyl_logprob * pyl_sampler_report(const pyl_sampler * sampler, size_t i, size_t * n)
    void pyl_sampler_clear_reports(pyl_sampler * sampler)
    bint pyl_score_rows(
        llama_context * ctx, pyl_pool * pool, const int32_t * rows, const llama_token * tokens,
        size_t n, int32_t n_top, pyl_logprob * reports)

    ctypedef struct pyl_drafter
    pyl_drafter * pyl_drafter_new(const pyl_options * options, int32_t n_lanes)
    void pyl_drafter_free(pyl_drafter * drafter)
    bint pyl_drafter_begin(
        pyl_drafter * drafter, int32_t lane, const llama_token * prompt, size_t n_prompt)
    int32_t pyl_drafter_draft(
        pyl_drafter * drafter, int32_t lane, const llama_token * tokens, size_t n_tokens,
        int32_t n_max, llama_token * draft)
    bint pyl_drafter_accept(pyl_drafter * drafter, int32_t lane, uint16_t n_accepted)
    bint pyl_drafter_end(pyl_drafter * drafter, int32_t lane)

    ctypedef struct pyl_projector
    ctypedef struct pyl_media
    ctypedef struct pyl_projector_info:
        bint has_vision
        bint has_audio
        bint is_mrope
        int32_t sample_rate
        int32_t n_embd
    ctypedef struct pyl_chunk:
        int32_t n_tokens
        int32_t n_pos
        const llama_token * tokens
        bint is_causal
    pyl_projector * pyl_projector_new(
        const pyl_options * options, const llama_model * model, const char * path)
    void pyl_projector_free(pyl_projector * projector)
    void pyl_projector_describe(const pyl_projector * projector, pyl_projector_info * info)
    pyl_media * pyl_media_picture(
        pyl_projector * projector, uint32_t width, uint32_t height, const char * rgb)
    pyl_media * pyl_media_sound(
        pyl_projector * projector, const float * samples, size_t n_samples)
    void pyl_media_free(pyl_media * media)
    size_t pyl_media_n_chunks(const pyl_media * media)
    void pyl_media_chunk(const pyl_media * media, size_t index, pyl_chunk * chunk)
    bint pyl_media_encode(const pyl_media * media, size_t index, float * embeddings)
    bint pyl_media_decode(
        const pyl_media * media, size_t index, llama_context * ctx, const float * embeddings,
        llama_pos n_past, llama_seq_id seq_id, int32_t * status)
