// The C face of llama-common: what the Cython modules see of it.
//
// llama-common is C++ with wide structs of std types, so none of it crosses this line: plain
// structs, C strings and JSON text do. A function that can fail returns NULL, false or a negative
// number and leaves its reason in pyl_last_error() of the calling thread. No exception leaves.

#pragma once

#include "llama.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#    define PYL_API __declspec(dllexport)
#else
#    define PYL_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

// ---- errors ---------------------------------------------------------------------------------

// Reason of the calling thread's last failure; valid until its next bridge call.
PYL_API const char * pyl_last_error(void);

// Frees a string that a bridge function returned.
PYL_API void pyl_free(char * text);

// Whether to go on with a call that takes long. A call that is not to fails, as with an error.
typedef int (*pyl_look)(void);

// Sets what is asked a few times a second while a text is tokenized or a template rendered, on the
// thread that does so. Once, before any of that.
PYL_API void pyl_set_look(pyl_look look);

// The process that asks. A forked one has its parent's objects but none of the threads that serve
// them: freeing a model or a context there may wait for these for ever.
PYL_API int32_t pyl_process_id(void);

// Silences llama-common's own logger, which writes to the terminal.
PYL_API void pyl_quiet_common_log(void);

// Whether the calling thread only tries what fits into memory: its log is of no interest, but for errors.
PYL_API bool pyl_is_fitting(void);

// ---- kernels: ext/kernels, in front of ggml's own ----------------------------------------------

// Gives them their place for as long as the process runs; before the first model is loaded. The
// instructions that they are made of; empty where there are none for this processor or build.
PYL_API const char * pyl_install_kernels(void);

// ---- options: llama.cpp's own option table (common/arg.h) -------------------------------------

typedef struct pyl_options pyl_options;

// The server's option table as JSON: [{args, args_neg, env, kind, hint, help, is_sampling}].
// kind is one of "flag", "bool", "int", "string", "pair": how many values the option takes.
PYL_API char * pyl_options_table(void);

PYL_API pyl_options * pyl_options_new(void);
PYL_API void          pyl_options_free(pyl_options * options);

// Lets the load, or the making of a context, that uses these options now, and every later one, fail
// soon. Any thread may call it.
PYL_API void pyl_options_cancel(pyl_options * options);

// Applies one option by any of its spellings ("-c", "--ctx-size", "--no-mmap").
// value and value2 are NULL where the option takes none.
PYL_API bool pyl_options_set(pyl_options * options, const char * arg, const char * value, const char * value2);

// Resolves defaults that depend on each other. Call once, after the last pyl_options_set.
PYL_API bool pyl_options_finish(pyl_options * options);

// The values that pyllama reads back, as a JSON object.
PYL_API char * pyl_options_values(const pyl_options * options);

// Most tokens that speculative decoding guesses ahead; 0 where it is off.
PYL_API int32_t pyl_options_n_draft(const pyl_options * options);

// ---- threads that compute on the CPU ------------------------------------------------------------

typedef struct pyl_threads pyl_threads;

// Threads for one token at a time, and for several, with the polling, priority and cores of the options.
PYL_API pyl_threads * pyl_threads_new(const pyl_options * options, int32_t n_threads, int32_t n_threads_batch);

// Makes a context compute with them, as long as it lives: they are not to be freed before it.
PYL_API void pyl_threads_attach(const pyl_threads * threads, struct llama_context * ctx);
PYL_API void pyl_threads_free(pyl_threads * threads);

// ---- model and context --------------------------------------------------------------------------

// Loads a model as the options say, fitted to the memory of the devices if they ask for that.
// is_trial: all but the weights' values, for a look at whether the file can be loaded.
PYL_API struct llama_model * pyl_model_load(pyl_options * options, const char * path, bool is_trial);

// Frees a model, and gives the system back what only its many small parts took.
PYL_API void pyl_model_free(struct llama_model * model);

// Makes a context for a loaded model, and warms it up. The options are those that loaded the model,
// or others that are finished: then what concerns the weights in them has no effect.
// n_ctx_default: KV cells in all where the options name no context size.
// n_draft_rows: rows of logits that a batch may ask for beyond pyl_n_outputs_max().
// embeddings: the context is for embeddings, and every token of a batch is an output.
// threads: receives those that the context computes with; to be freed after it.
PYL_API struct llama_context * pyl_context_new(
    pyl_options * options, struct llama_model * model, uint32_t n_ctx_default, uint32_t n_draft_rows,
    bool embeddings, ggml_abort_callback abort_callback, void * abort_data, pyl_threads ** threads);

// Rows of logits that one batch may ask for: one a sequence, and some more to score a prompt with.
PYL_API uint32_t pyl_n_outputs_max(const struct llama_model * model, uint32_t n_seq_max);

// llama_decode, or llama_encode where the model has an encoder, and waits for the result. llama.cpp allocates in there, and throws where that fails.
PYL_API bool pyl_decode(struct llama_context * ctx, const struct llama_batch * batch, int32_t * status);

// llama_tokenize, which throws where a vocabulary lacks what its type promises.
PYL_API bool pyl_tokenize(
    const struct llama_vocab * vocab, const char * text, int32_t text_len, llama_token * tokens,
    int32_t n_tokens_max, bool add_special, bool parse_special, int32_t * n_tokens);

// ---- chat templates -------------------------------------------------------------------------------

typedef struct pyl_chat pyl_chat;

// template_override: Jinja source or the name of a built-in template; NULL takes the model's own.
PYL_API pyl_chat * pyl_chat_new(const struct llama_model * model, const char * template_override, bool use_jinja);
PYL_API void       pyl_chat_free(pyl_chat * chat);

PYL_API char * pyl_chat_source(const pyl_chat * chat);
PYL_API char * pyl_chat_caps(const pyl_chat * chat);

// Renders a chat and says how its answer is constrained and parsed. request: {messages, tools?,
// tool_choice?, parallel_tool_calls?, json_schema?, reasoning_format?, enable_thinking?,
// chat_template_kwargs?, add_generation_prompt?, continue_final_message?, prompt_only?}.
// Returns the fields of common_chat_params (common/chat.h). prompt_only leaves out all but the prompts.
PYL_API char * pyl_chat_apply(const pyl_chat * chat, const char * request);

// The constraint and the parser of tool calls under a template that has no form for them: JSON within
// <tool_call> tags. request: {tools, tool_choice, parallel_tool_calls, generation_prompt,
// thinking_start, thinking_ends}. Returns what pyl_chat_apply does, without a prompt.
PYL_API char * pyl_chat_generic_tools(const char * request);

// What an answer may be by a parser that pyl_chat_apply made, as GBNF in which its content is the
// rule `answer`, which is to be defined.
PYL_API char * pyl_content_grammar(const char * parser);

// A JSON schema as GBNF.
PYL_API char * pyl_schema_grammar(const char * schema);

// ---- the parser of answers ----------------------------------------------------------------------------

typedef struct pyl_chat_parser pyl_chat_parser;

// params: {format, parser, generation_prompt, reasoning_format, parse_tool_calls, is_continuation}.
PYL_API pyl_chat_parser * pyl_chat_parser_new(const char * params);
PYL_API void              pyl_chat_parser_free(pyl_chat_parser * parser);

// The texts that end a free text somewhere in this format, as a JSON array.
PYL_API char * pyl_chat_parser_delimiters(const pyl_chat_parser * parser);

// Reads an answer, or as much of it as there is: {content, reasoning, tool_calls: [{id, name, arguments}],
// rest, is_open}. rest is what the format does not reach; is_open, that more has to follow in it.
// NULL where neither the text nor any continuation of it is in the format.
PYL_API char * pyl_chat_parser_parse(const pyl_chat_parser * parser, const char * text, size_t text_len);

// ---- samplers ---------------------------------------------------------------------------------------

typedef struct pyl_sampler pyl_sampler;

// params: the fields of pyllama.params.SamplingParams, logprobs and post_sampling_probs as a JSON object.
PYL_API pyl_sampler * pyl_sampler_new(const struct llama_model * model, const char * params);
PYL_API void          pyl_sampler_free(pyl_sampler * sampler);

// True if this sampler is an arg-max that needs neither history nor the sampler chain.
PYL_API bool pyl_sampler_is_greedy(const pyl_sampler * sampler);

// How many of the largest logits the sampler looks at; 0 means the whole vocabulary.
PYL_API int32_t pyl_sampler_n_candidates(const pyl_sampler * sampler);

// The seed in use, drawn where the request asked for a random one.
PYL_API uint32_t pyl_sampler_seed(const pyl_sampler * sampler);

// Whether the grammar was given up, since a token of it takes too long: the answer is not what it asks for.
PYL_API bool pyl_sampler_has_given_up(const pyl_sampler * sampler);

// Feeds prompt tokens to the penalties' history.
PYL_API bool pyl_sampler_accept_prompt(pyl_sampler * sampler, const llama_token * tokens, size_t n_tokens);

// Threads that share the rows of a call; the calling thread is one of them.
typedef struct pyl_pool pyl_pool;

PYL_API pyl_pool * pyl_pool_new(int32_t n_threads);
PYL_API void       pyl_pool_free(pyl_pool * pool);

// Samples and accepts one token for each of n rows of the last decoded batch.
// rows[i] is the batch index whose logits samplers[i] takes; tokens[i] receives the token. The rows of
// one sampler stand side by side, in the order of their tokens. pool may be NULL.
PYL_API bool pyl_sample_rows(
    struct llama_context * ctx, pyl_pool * pool, pyl_sampler * const * samplers, const int32_t * rows, size_t n,
    llama_token * tokens);

// ---- log probabilities ------------------------------------------------------------------------------

typedef struct pyl_logprob {
    llama_token token;
    float       logprob;  // natural; the smallest float where the probability is 0
} pyl_logprob;

// How likely each token was that a sampler drew since its reports were cleared, where its parameters ask
// for it. A report begins with the token itself, the likeliest ones at its place follow, best first.
PYL_API bool                pyl_sampler_has_logprobs(const pyl_sampler * sampler);
PYL_API size_t              pyl_sampler_n_reports(const pyl_sampler * sampler);
PYL_API const pyl_logprob * pyl_sampler_report(const pyl_sampler * sampler, size_t i, size_t * n);
PYL_API void                pyl_sampler_clear_reports(pyl_sampler * sampler);

// Reports for given tokens instead of drawn ones: rows[i] is the batch index whose logits say how likely
// tokens[i] was. reports receives n times 1 + n_top entries; those without a token are LLAMA_TOKEN_NULL.
PYL_API bool pyl_score_rows(
    struct llama_context * ctx, pyl_pool * pool, const int32_t * rows, const llama_token * tokens, size_t n,
    int32_t n_top, pyl_logprob * reports);

// Samples and accepts from consecutive rows until a token differs from the draft, or all of it was
// drawn. row is the batch index before the draft's first token; draft[i] was computed in row + 1 + i.
// *n_accepted tokens of the draft were drawn, then *token, for which nothing is computed yet.
PYL_API bool pyl_sample_verify(
    struct llama_context * ctx, pyl_sampler * sampler, int32_t row, const llama_token * draft, size_t n_draft,
    llama_token * token, size_t * n_accepted);

// ---- speculative decoding ---------------------------------------------------------------------------

// Drafts by looking n-grams up in what was said before. One lane follows one sequence.
typedef struct pyl_drafter pyl_drafter;

// options: with --spec-type of the n-gram kinds only; at least one.
PYL_API pyl_drafter * pyl_drafter_new(const pyl_options * options, int32_t n_lanes);
PYL_API void          pyl_drafter_free(pyl_drafter * drafter);

// Makes a lane follow a new sequence, of which nothing is known yet.
PYL_API bool pyl_drafter_begin(pyl_drafter * drafter, int32_t lane, const llama_token * prompt, size_t n_prompt);

// Appends what a sequence grew by, and guesses what follows: up to n_max tokens. Returns how many,
// or -1.
PYL_API int32_t pyl_drafter_draft(
    pyl_drafter * drafter, int32_t lane, const llama_token * tokens, size_t n_tokens, int32_t n_max,
    llama_token * draft);

// Tells how many tokens of a lane's last draft were right. The lookups learn from it.
PYL_API bool pyl_drafter_accept(pyl_drafter * drafter, int32_t lane, uint16_t n_accepted);

// Frees what a lane remembers; it drafts again after the next begin.
PYL_API bool pyl_drafter_end(pyl_drafter * drafter, int32_t lane);

// ---- media: pictures and sound (tools/mtmd/mtmd.h) ----------------------------------------------------

// The encoders beside a text model, from a file of their own.
typedef struct pyl_projector pyl_projector;

// A picture or a sound, cut into what a text model sees of it: media and the tokens around them.
typedef struct pyl_media pyl_media;

typedef struct pyl_projector_info {
    bool    has_vision;
    bool    has_audio;
    bool    is_mrope;     // whether the text model numbers a picture's positions in two dimensions
    int32_t sample_rate;  // of sound, Hz; -1 where there is none
    int32_t n_embd;       // values of one token's embedding
} pyl_projector_info;

typedef struct pyl_chunk {
    int32_t             n_tokens;
    int32_t             n_pos;   // positions that it takes; with M-RoPE not as many as tokens
    const llama_token * tokens;  // NULL where it is media
    bool                is_causal;
} pyl_chunk;

// options: finished; they say where and how it runs.
PYL_API pyl_projector * pyl_projector_new(
    const pyl_options * options, const struct llama_model * model, const char * path);
PYL_API void pyl_projector_free(pyl_projector * projector);
PYL_API void pyl_projector_describe(const pyl_projector * projector, pyl_projector_info * info);

// rgb: 3 bytes a pixel, row by row. Any thread may call it, as the next one.
PYL_API pyl_media * pyl_media_picture(
    pyl_projector * projector, uint32_t width, uint32_t height, const char * rgb);

// samples: mono at the projector's rate, at least two.
PYL_API pyl_media * pyl_media_sound(pyl_projector * projector, const float * samples, size_t n_samples);
PYL_API void        pyl_media_free(pyl_media * media);
PYL_API size_t      pyl_media_n_chunks(const pyl_media * media);
PYL_API void        pyl_media_chunk(const pyl_media * media, size_t index, pyl_chunk * chunk);

// Computes the embeddings of a chunk that is media: n_tokens times n_embd values. One thread at a time.
PYL_API bool pyl_media_encode(const pyl_media * media, size_t index, float * embeddings);

// Computes a chunk's KV cells from its embeddings, at the positions from n_past on; status is that of
// llama_decode. A chunk that is not causal must fit one micro-batch.
PYL_API bool pyl_media_decode(
    const pyl_media * media, size_t index, struct llama_context * ctx,
    const float * embeddings, llama_pos n_past, llama_seq_id seq_id, int32_t * status);

#ifdef __cplusplus
}
#endif
