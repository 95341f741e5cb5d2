#include "bridge.h"
#include "guard.h"
#include "options.h"

#include "ggml-cpp.h"
#include "gguf.h"
#include "mtmd-helper.h"
#include "mtmd.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

struct pyl_projector {
    mtmd::context_ptr ctx;
    int32_t           n_embd = 0;
};

struct pyl_media {
    pyl_projector *    projector;
    mtmd::input_chunks chunks{ mtmd_input_chunks_init() };

    explicit pyl_media(pyl_projector * projector) : projector(projector) {}
};

namespace {

mtmd_context_params to_params(const common_params & params) {
    auto mparams             = mtmd_context_params_default();
    mparams.use_gpu          = params.mmproj_use_gpu;
    mparams.device           = params.mmproj_device;
    mparams.print_timings    = false;
    mparams.n_threads        = params.cpuparams.n_threads;
    mparams.flash_attn_type  = params.flash_attn_type;
    mparams.warmup           = params.warmup;
    mparams.image_min_tokens = params.image_min_tokens;
    mparams.image_max_tokens = params.image_max_tokens;
    if (mparams.use_gpu && mparams.device == nullptr && !params.devices.empty()) {
        // What was said of the text model's devices holds here too.
        mparams.device  = params.devices.front();
        mparams.use_gpu = mparams.device != nullptr;
    }
    return mparams;
}

// Whether a picture is not the same after other text or other pictures: its pieces cannot be cached.
bool looks_back(const char * path) {
    gguf_context_ptr gguf(gguf_init_from_file(path, { /* no_alloc */ true, /* ctx */ nullptr }));
    if (gguf == nullptr) {
        return false;
    }
    for (const char * key : { "clip.projector_type", "clip.vision.projector_type" }) {
        const int64_t id = gguf_find_key(gguf.get(), key);
        if (id < 0 || gguf_get_kv_type(gguf.get(), id) != GGUF_TYPE_STRING) {
            continue;
        }
        const char * kind = gguf_get_val_str(gguf.get(), id);
        // The first pads to the text before it, the second counts the pictures of a prompt.
        if (std::strcmp(kind, "deepseek4v") == 0 || std::strcmp(kind, "hunyuanvl") == 0) {
            return true;
        }
    }
    return false;
}

pyl_media * cut(pyl_projector * projector, const mtmd::bitmap & bitmap) {
    const mtmd_input_part         part    = { nullptr, bitmap.ptr.get() };
    const mtmd_input_part * const parts[] = { &part };
    auto                          media   = std::make_unique<pyl_media>(projector);
    if (mtmd_tokenize_from_parts(projector->ctx.get(), media->chunks.ptr.get(), parts, 1, false) != 0) {
        throw std::runtime_error("mtmd_tokenize_from_parts refused the media");
    }
    for (size_t i = 0; i < media->chunks.size(); i++) {
        pyl_chunk chunk;
        pyl_media_chunk(media.get(), i, &chunk);
        // A token that the projector's model has and this one lacks; llama.cpp writes it like this.
        if (chunk.n_tokens < 1 ||
            (chunk.tokens && std::count(chunk.tokens, chunk.tokens + chunk.n_tokens, LLAMA_TOKEN_NULL) > 0)) {
            throw std::runtime_error("the projector frames media by tokens that the vocabulary lacks");
        }
    }
    return media.release();
}

}  // namespace

pyl_projector * pyl_projector_new(const pyl_options * options, const llama_model * model, const char * path) {
    return pyl::guarded(static_cast<pyl_projector *>(nullptr), [&] {
        ggml_log_callback log  = nullptr;
        void *            data = nullptr;
        llama_log_get(&log, &data);
        mtmd_helper_log_set(log, data);
        if (looks_back(path)) {
            throw std::runtime_error("the projector makes a picture depend on what is before it");
        }
        auto projector = std::make_unique<pyl_projector>();
        projector->ctx.reset(mtmd_init_from_file(path, model, to_params(options->params)));
        if (projector->ctx == nullptr) {
            throw std::runtime_error("mtmd_init_from_file refused the file");
        }
        projector->n_embd = llama_model_n_embd_inp(model);
        return projector.release();
    });
}

void pyl_projector_free(pyl_projector * projector) {
    delete projector;
}

void pyl_projector_describe(const pyl_projector * projector, pyl_projector_info * info) {
    const auto * ctx  = projector->ctx.get();
    info->has_vision  = mtmd_support_vision(ctx);
    info->has_audio   = mtmd_support_audio(ctx);
    info->is_mrope    = mtmd_decode_use_mrope(ctx);
    info->sample_rate = mtmd_get_audio_sample_rate(ctx);
    info->n_embd      = projector->n_embd;
}

pyl_media * pyl_media_picture(pyl_projector * projector, uint32_t width, uint32_t height, const char * rgb) {
    return pyl::guarded(static_cast<pyl_media *>(nullptr), [&] {
        return cut(projector, mtmd::bitmap(width, height, reinterpret_cast<const unsigned char *>(rgb)));
    });
}

pyl_media * pyl_media_sound(pyl_projector * projector, const float * samples, size_t n_samples) {
    return pyl::guarded(static_cast<pyl_media *>(nullptr), [&] {
        return cut(projector, mtmd::bitmap(mtmd_bitmap_init_from_audio(n_samples, samples)));
    });
}

void pyl_media_free(pyl_media * media) {
    delete media;
}

size_t pyl_media_n_chunks(const pyl_media * media) {
    return media->chunks.size();
}

void pyl_media_chunk(const pyl_media * media, size_t index, pyl_chunk * chunk) {
    const mtmd_input_chunk * found = media->chunks[index];
    size_t                   n     = 0;
    chunk->n_tokens                = static_cast<int32_t>(mtmd_input_chunk_get_n_tokens(found));
    chunk->n_pos                   = mtmd_input_chunk_get_n_pos(found);
    chunk->tokens                  = mtmd_input_chunk_get_tokens_text(found, &n);
    // Of text mtmd would say what it says of a picture.
    chunk->is_causal = chunk->tokens != nullptr || !mtmd_decode_use_non_causal(media->projector->ctx.get(), found);
}

bool pyl_media_encode(const pyl_media * media, size_t index, float * embeddings) {
    return pyl::guarded(false, [&] {
        const mtmd_input_chunk * chunk     = media->chunks[index];
        const pyl_projector *    projector = media->projector;
        if (mtmd_encode_chunk(projector->ctx.get(), chunk) != 0) {
            throw std::runtime_error("mtmd_encode_chunk failed");
        }
        const size_t n_values = mtmd_input_chunk_get_n_tokens(chunk) * projector->n_embd;
        std::memcpy(embeddings, mtmd_get_output_embd(projector->ctx.get()), n_values * sizeof(float));
        return true;
    });
}

bool pyl_media_decode(
    const pyl_media * media, size_t index, llama_context * ctx, const float * embeddings, llama_pos n_past,
    llama_seq_id seq_id, int32_t * status) {
    return pyl::guarded(false, [&] {
        llama_pos n_after = n_past;
        *status           = mtmd_helper_decode_image_chunk(
            media->projector->ctx.get(), ctx, media->chunks[index], const_cast<float *>(embeddings), n_past, seq_id,
            static_cast<int32_t>(llama_n_batch(ctx)), &n_after, nullptr, nullptr);
        llama_synchronize(ctx);
        return true;
    });
}
