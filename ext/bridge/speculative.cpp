#include "bridge.h"
#include "guard.h"
#include "options.h"

#include "ngram-cache.h"
#include "speculative.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace {

constexpr auto NONE  = COMMON_SPECULATIVE_TYPE_NONE;
constexpr auto CACHE = COMMON_SPECULATIVE_TYPE_NGRAM_CACHE;

// Tokens of a draft by ngram-cache: what common_speculative_n_max says of it.
constexpr int32_t CACHE_N_MAX = 8;

bool is_ngram(common_speculative_type type) {
    switch (type) {
        case COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE:
        case COMMON_SPECULATIVE_TYPE_NGRAM_MAP_K:
        case COMMON_SPECULATIVE_TYPE_NGRAM_MAP_K4V:
        case COMMON_SPECULATIVE_TYPE_NGRAM_MOD:
        case COMMON_SPECULATIVE_TYPE_NGRAM_CACHE:
            return true;
        default:
            return false;
    }
}

// One sequence's place in the lookups.
struct lane {
    bool               is_begun  = false;
    llama_tokens       history;            // the sequence's tokens so far
    size_t             n_prompt  = 0;      // how many of them it began with
    common_ngram_cache cache;              // its n-grams, where ngram-cache is asked for
    size_t             n_cached  = 0;      // tokens of the history that the cache has seen
    bool               is_shared = false;  // whether the last draft was made by pyl_drafter::shared
    size_t             n_cut     = 0;      // what was left of it where it was cut, else 0
};

// Asks llama-common for what follows the history.
llama_tokens ask(common_speculative * spec, llama_seq_id seq, llama_tokens & history) {
    llama_tokens draft;
    // To llama-common the last token is not yet a part of the history.
    const llama_token last   = history.back();
    auto &            params = common_speculative_get_draft_params(spec, seq);
    history.pop_back();
    params = { true, -1, llama_pos(history.size()), last, &history, &draft };
    try {
        common_speculative_draft(spec);
    } catch (...) {
        params.drafting = false;
        history.push_back(last);
        throw;
    }
    history.push_back(last);
    return draft;
}

// llama-common's own use of its cache learns no n-gram from tokens that come one at a time, and
// keeps those of the slot's former sequences: so here it is used directly.
llama_tokens ask_cache(lane & lane, int32_t n_max) {
    static common_ngram_cache nothing;
    const auto                n_new = int(lane.history.size() - lane.n_cached);
    common_ngram_cache_update(lane.cache, LLAMA_NGRAM_MIN, LLAMA_NGRAM_MAX, lane.history, n_new, false);
    lane.n_cached = lane.history.size();
    llama_tokens draft = { lane.history.back() };
    if (lane.history.size() >= LLAMA_NGRAM_MAX) {
        common_ngram_cache_draft(
            lane.history, draft, std::min(n_max, CACHE_N_MAX), LLAMA_NGRAM_MIN, LLAMA_NGRAM_MAX, lane.cache, nothing,
            nothing);
    }
    draft.erase(draft.begin());
    return draft;
}

}  // namespace

struct pyl_drafter {
    common_params_speculative params;
    common_speculative_ptr    shared;  // all kinds but ngram-cache; null where it is the only one
    bool                      has_cache = false;
    std::vector<lane>         lanes;

    lane & at(int32_t index) {
        if (index < 0 || size_t(index) >= lanes.size()) {
            throw std::out_of_range("no lane " + std::to_string(index));
        }
        return lanes[index];
    }
};

pyl_drafter * pyl_drafter_new(const pyl_options * options, int32_t n_lanes) {
    return pyl::guarded(static_cast<pyl_drafter *>(nullptr), [&] {
        auto   drafter = std::make_unique<pyl_drafter>();
        auto & types   = drafter->params.types;
        drafter->params = options->params.speculative;
        types.erase(std::remove(types.begin(), types.end(), NONE), types.end());
        if (n_lanes < 1 || types.empty() || !std::all_of(types.begin(), types.end(), is_ngram)) {
            throw std::invalid_argument("drafting needs a lane, and n-gram kinds alone");
        }
        const auto rest    = std::remove(types.begin(), types.end(), CACHE);
        drafter->has_cache = rest != types.end();
        types.erase(rest, types.end());
        if (!types.empty()) {
            drafter->shared.reset(common_speculative_init(drafter->params, n_lanes));
        }
        drafter->lanes.resize(n_lanes);
        return drafter.release();
    });
}

void pyl_drafter_free(pyl_drafter * drafter) {
    delete drafter;
}

bool pyl_drafter_begin(pyl_drafter * drafter, int32_t index, const llama_token * prompt, size_t n_prompt) {
    return pyl::guarded(false, [&] {
        auto & lane = drafter->at(index);
        lane        = {};
        lane.history.assign(prompt, prompt + n_prompt);
        if (drafter->shared != nullptr) {
            // An empty prompt first: it drops what the maps hold of the lane's former sequence.
            common_speculative_begin(drafter->shared.get(), index, {});
            common_speculative_begin(drafter->shared.get(), index, lane.history);
        }
        lane.n_prompt = n_prompt;
        lane.is_begun = true;
        return true;
    });
}

int32_t pyl_drafter_draft(
    pyl_drafter * drafter, int32_t index, const llama_token * tokens, size_t n_tokens, int32_t n_max,
    llama_token * draft) {
    return pyl::guarded(-1, [&] {
        auto & lane = drafter->at(index);
        if (!lane.is_begun) {
            throw std::logic_error("lane " + std::to_string(index) + " follows no sequence");
        }
        lane.history.insert(lane.history.end(), tokens, tokens + n_tokens);
        lane.is_shared = false;
        // The maps end the process where a history is not longer than the prompt.
        if (n_max < 1 || lane.history.size() <= lane.n_prompt) {
            return 0;
        }
        llama_tokens result;
        if (drafter->shared != nullptr) {
            result         = ask(drafter->shared.get(), index, lane.history);
            lane.is_shared = !result.empty();
        }
        if (drafter->has_cache && result.empty()) {
            result = ask_cache(lane, n_max);
        }
        const auto n = std::min(result.size(), size_t(n_max));
        lane.n_cut   = n < result.size() ? n : 0;
        std::copy_n(result.begin(), n, draft);
        return int32_t(n);
    });
}

bool pyl_drafter_accept(pyl_drafter * drafter, int32_t index, uint16_t n_accepted) {
    return pyl::guarded(false, [&] {
        auto & lane = drafter->at(index);
        // Where all that was left of a cut draft was right, nothing is known of the rest.
        if (lane.is_shared && (lane.n_cut == 0 || n_accepted < lane.n_cut)) {
            common_speculative_accept(drafter->shared.get(), index, n_accepted);
        }
        lane.is_shared = false;
        return true;
    });
}

bool pyl_drafter_end(pyl_drafter * drafter, int32_t index) {
    return pyl::guarded(false, [&] {
        drafter->at(index) = {};
        return true;
    });
}
