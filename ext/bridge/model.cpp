#include "bridge.h"
#include "guard.h"
#include "host_memory.h"
#include "options.h"

#include "fit.h"
#include "llama-cpp.h"

#include <algorithm>
#include <stdexcept>

#if defined(__GLIBC__)
#    include <malloc.h>
#endif

namespace {

// One tiny decode, so that the first request does not pay for lazy initialisation.
void warm_up(llama_context * ctx, const llama_model * model) {
    const llama_vocab * vocab = llama_model_get_vocab(model);
    llama_token         token = llama_vocab_bos(vocab);
    if (token == LLAMA_TOKEN_NULL) {
        token = 0;
    }
    llama_decode(ctx, llama_batch_get_one(&token, 1));
    llama_memory_clear(llama_get_memory(ctx), true);
    llama_synchronize(ctx);
}

bool is_cancelled(void * options) {
    return static_cast<const pyl_options *>(options)->is_cancelled;
}

void check_cancelled(const pyl_options * options) {
    if (options->is_cancelled) {
        throw std::runtime_error("cancelled");
    }
}

thread_local bool is_fitting = false;

// Marks the thread for as long as it lives.
struct Fitting {
    Fitting() { is_fitting = true; }
    ~Fitting() { is_fitting = false; }
};

// Compute buffers hold this much of logits to score prompts with, and at most so many rows.
constexpr uint32_t MAX_SCORE_BYTES = 32 << 20;
constexpr uint32_t MAX_SCORE_ROWS  = 128;

}  // namespace

bool pyl_is_fitting(void) {
    return is_fitting;
}

llama_model * pyl_model_load(pyl_options * options, const char * path, bool is_trial) {
    return pyl::guarded(static_cast<llama_model *>(nullptr), [&] {
        auto & params    = options->params;
        auto   mparams   = common_model_params_to_llama(params);
        options->cparams = common_context_params_to_llama(params);
        // Asked before each tensor.
        mparams.progress_callback           = [](float, void * data) { return !is_cancelled(data); };
        mparams.progress_callback_user_data = options;
        if (is_trial) {
            mparams.no_alloc  = true;
            mparams.load_mode = LLAMA_LOAD_MODE_NONE;
        } else if (params.fit_params) {
            const Fitting fitting;
            common_fit_params(
                path, &mparams, &options->cparams, params.tensor_split, params.tensor_buft_overrides.data(),
                params.fit_params_target.data(), params.fit_params_min_ctx, nullptr, GGML_LOG_LEVEL_ERROR);
        }
        check_cancelled(options);
        pyl::tune_host_memory();
        llama_model * model = llama_model_load_from_file(path, mparams);
        if (model == nullptr) {
            check_cancelled(options);
            throw std::runtime_error("llama_model_load_from_file refused the file");
        }
        options->is_loaded = !is_trial;
        return model;
    });
}

void pyl_model_free(llama_model * model) {
    llama_model_free(model);
#if defined(__GLIBC__)
    // A vocabulary is a hundred thousand small blocks, and those of a thread that loads a model lie
    // between blocks that stay: the library would keep them all for the next one that asks.
    malloc_trim(0);
#endif
}

llama_context * pyl_context_new(
    pyl_options * options, llama_model * model, uint32_t n_ctx_default, uint32_t n_draft_rows,
    bool embeddings, ggml_abort_callback abort_callback, void * abort_data, pyl_threads ** threads) {
    return pyl::guarded(static_cast<llama_context *>(nullptr), [&] {
        // Options that loaded the model carry what the fit to the devices made of them.
        auto cparams = options->is_loaded ? options->cparams : common_context_params_to_llama(options->params);
        if (options->params.n_ctx == 0) {
            // The fit may have found less room on the devices than the default asks for.
            cparams.n_ctx = cparams.n_ctx == 0 ? n_ctx_default : std::min(cparams.n_ctx, n_ctx_default);
        }
        cparams.embeddings          = embeddings;
        // 0 means as many as a batch has tokens.
        cparams.n_outputs_max       = embeddings ? 0 : pyl_n_outputs_max(model, cparams.n_seq_max) + n_draft_rows;
        cparams.abort_callback      = abort_callback;
        cparams.abort_callback_data = abort_data;
        check_cancelled(options);
        llama_context_ptr ctx(llama_init_from_model(model, cparams));
        if (ctx == nullptr) {
            throw std::runtime_error("llama_init_from_model refused the parameters");
        }
        *threads = pyl_threads_new(options, llama_n_threads(ctx.get()), llama_n_threads_batch(ctx.get()));
        if (*threads == nullptr) {
            throw std::runtime_error(pyl::last_error());
        }
        pyl_threads_attach(*threads, ctx.get());
        if (options->params.warmup && !llama_model_has_encoder(model)) {
            llama_set_abort_callback(ctx.get(), is_cancelled, options);
            warm_up(ctx.get(), model);
            llama_set_abort_callback(ctx.get(), abort_callback, abort_data);
        }
        check_cancelled(options);
        return ctx.release();
    });
}

uint32_t pyl_n_outputs_max(const llama_model * model, uint32_t n_seq_max) {
    const auto row_bytes = sizeof(float) * llama_vocab_n_tokens(llama_model_get_vocab(model));
    return n_seq_max + std::min<uint32_t>(MAX_SCORE_BYTES / row_bytes, MAX_SCORE_ROWS);
}

bool pyl_decode(llama_context * ctx, const llama_batch * batch, int32_t * status) {
    return pyl::guarded(false, [&] {
        const bool has_encoder = llama_model_has_encoder(llama_get_model(ctx));
        *status                = has_encoder ? llama_encode(ctx, *batch) : llama_decode(ctx, *batch);
        llama_synchronize(ctx);
        return true;
    });
}

bool pyl_tokenize(
    const llama_vocab * vocab, const char * text, int32_t text_len, llama_token * tokens, int32_t n_tokens_max,
    bool add_special, bool parse_special, int32_t * n_tokens) {
    return pyl::guarded(false, [&] {
        const pyl::polled polled;
        *n_tokens = llama_tokenize(vocab, text, text_len, tokens, n_tokens_max, add_special, parse_special);
        return true;
    });
}
