#include "bridge.h"
#include "guard.h"
#include "options.h"

#include "speculative.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace {

constexpr auto CACHE = COMMON_SPECULATIVE_TYPE_NGRAM_CACHE;

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

struct lane {
    std::vector<llama_token> history;          // the sequence's tokens so far
    common_speculative_ptr   cache;            // ngram-cache of this sequence, where it is asked for
    common_speculative *     last = nullptr;   // who made the last draft
    int32_t                  last_seq = 0;     // and under which sequence id
    size_t                   n_cut    = 0;     // what was left of it where it was cut, else 0
};

// Asks one implementation for the continuation of history + last.
void ask(
    common_speculative * spec, llama_seq_id seq, const llama_tokens & history, llama_token last,
    llama_tokens & draft) {
    auto & params = common_speculative_get_draft_params(spec, seq);
    params        = { true, -1, llama_pos(history.size()), last, &history, &draft };
    try {
        common_speculative_draft(spec);
    } catch (...) {
        params.drafting = false;
        throw;
    }
}

}  // namespace

// The kinds share what they learn between lanes where llama-common lets them (ngram-mod). Its
// ngram-cache never forgets a sequence, so each sequence gets one of its own.
struct pyl_drafter {
    common_params_speculative params;
    common_speculative_ptr    shared;  // null where ngram-cache is the only kind
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
        auto drafter    = std::make_unique<pyl_drafter>();
        auto & params   = drafter->params;
        params          = options->params.speculative;
        auto & types    = params.types;
        types.erase(std::remove(types.begin(), types.end(), COMMON_SPECULATIVE_TYPE_NONE), types.end());
        if (n_lanes < 1 || types.empty() || !std::all_of(types.begin(), types.end(), is_ngram)) {
            throw std::invalid_argument("drafting needs a lane, and n-gram kinds alone");
        }
        const auto rest    = std::remove(types.begin(), types.end(), CACHE);
        drafter->has_cache = rest != types.end();
        types.erase(rest, types.end());
        if (!types.empty()) {
            drafter->shared.reset(common_speculative_init(params, n_lanes));
        }
        params.types = { CACHE };
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
        lane.history.assign(prompt, prompt + n_prompt);
        lane.last = nullptr;
        if (drafter->shared != nullptr) {
            // An empty prompt first: it drops what the lookups hold of the lane's former sequence.
            common_speculative_begin(drafter->shared.get(), index, {});
            common_speculative_begin(drafter->shared.get(), index, lane.history);
        }
        if (drafter->has_cache) {
            lane.cache.reset(common_speculative_init(drafter->params, 1));
        }
        return true;
    });
}

int32_t pyl_drafter_draft(
    pyl_drafter * drafter, int32_t index, const llama_token * tokens, size_t n_tokens, int32_t n_max,
    llama_token * draft) {
    return pyl::guarded(-1, [&] {
        auto & lane = drafter->at(index);
        auto & past = lane.history;
        past.insert(past.end(), tokens, tokens + n_tokens);
        lane.last = nullptr;
        if (n_max < 1 || past.size() < 2) {
            return 0;
        }
        llama_tokens      result;
        const llama_token last = past.back();
        // llama-common counts the last token as not yet a part of the history.
        past.pop_back();
        try {
            if (drafter->shared != nullptr) {
                ask(drafter->shared.get(), index, past, last, result);
                lane.last     = result.empty() ? nullptr : drafter->shared.get();
                lane.last_seq = index;
            }
            if (result.empty() && lane.cache != nullptr) {
                ask(lane.cache.get(), 0, past, last, result);
                lane.last     = result.empty() ? nullptr : lane.cache.get();
                lane.last_seq = 0;
            }
        } catch (...) {
            past.push_back(last);
            throw;
        }
        past.push_back(last);
        const auto n = std::min(result.size(), size_t(n_max));
        lane.n_cut   = n < result.size() ? n : 0;
        std::copy_n(result.begin(), n, draft);
        return int32_t(n);
    });
}

bool pyl_drafter_accept(pyl_drafter * drafter, int32_t index, uint16_t n_accepted) {
    return pyl::guarded(false, [&] {
        auto & lane = drafter->at(index);
        // Where all that was left of a draft was right, nothing is known of the rest.
        if (lane.last != nullptr && (lane.n_cut == 0 || n_accepted < lane.n_cut)) {
            common_speculative_accept(lane.last, lane.last_seq, n_accepted);
        }
        lane.last = nullptr;
        return true;
    });
}

bool pyl_drafter_end(pyl_drafter * drafter, int32_t index) {
    return pyl::guarded(false, [&] {
        auto & lane = drafter->at(index);
        lane        = {};
        return true;
    });
}
