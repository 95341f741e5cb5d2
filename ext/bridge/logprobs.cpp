#include "guard.h"
#include "sampler.h"
#include "worker_pool.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <stdexcept>

namespace pyl {

namespace {

// Finite, so that JSON can carry it.
float finite(double logprob) {
    return logprob < -FLT_MAX ? -FLT_MAX : static_cast<float>(logprob);
}

}  // namespace

std::vector<pyl_logprob> report(logits_row row, llama_token token, int32_t n_top) {
    thread_local std::vector<llama_token_data> top;
    const double                               normalizer = log_normalizer(row);
    std::vector<pyl_logprob>                   entries    = { { token, finite(row.data[token] - normalizer) } };
    if (n_top > 0) {
        top_candidates(row, n_top, top);
        for (const auto & candidate : top) {
            entries.push_back({ candidate.id, finite(candidate.logit - normalizer) });
        }
    }
    return entries;
}

std::vector<pyl_logprob> report(const llama_token_data_array & candidates, llama_token token, int32_t n_top) {
    thread_local std::vector<llama_token_data> top;
    top.clear();
    std::vector<pyl_logprob> entries = { { token, -FLT_MAX } };
    for (size_t i = 0; i < candidates.size; ++i) {
        const auto & candidate = candidates.data[i];
        if (candidate.id == token) {
            entries[0].logprob = finite(std::log(static_cast<double>(candidate.p)));
        }
        if (candidate.p > 0.0f) {
            top.push_back(candidate);
        }
    }
    const size_t n = std::min(top.size(), static_cast<size_t>(n_top));
    std::partial_sort(top.begin(), top.begin() + n, top.end(), [](const auto & a, const auto & b) {
        return a.p > b.p || (a.p == b.p && a.id < b.id);
    });
    for (size_t i = 0; i < n; ++i) {
        entries.push_back({ top[i].id, finite(std::log(static_cast<double>(top[i].p))) });
    }
    return entries;
}

}  // namespace pyl

bool pyl_sampler_has_logprobs(const pyl_sampler * sampler) {
    return sampler->n_logprobs >= 0;
}

size_t pyl_sampler_n_reports(const pyl_sampler * sampler) {
    return sampler->reports.size();
}

const pyl_logprob * pyl_sampler_report(const pyl_sampler * sampler, size_t i, size_t * n) {
    *n = sampler->reports[i].size();
    return sampler->reports[i].data();
}

void pyl_sampler_clear_reports(pyl_sampler * sampler) {
    sampler->reports.clear();
}

bool pyl_score_rows(
    llama_context * ctx, pyl_pool * pool, const int32_t * rows, const llama_token * tokens, size_t n, int32_t n_top,
    pyl_logprob * reports) {
    return pyl::guarded(false, [&] {
        const int32_t n_vocab  = llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(ctx)));
        const size_t  n_fields = 1 + static_cast<size_t>(n_top);
        std::vector<pyl::logits_row> found;
        for (size_t i = 0; i < n; ++i) {
            found.push_back(pyl::get_row(ctx, rows[i], n_vocab));
            if (tokens[i] < 0 || tokens[i] >= n_vocab) {
                throw std::invalid_argument("token id " + std::to_string(tokens[i]) + " does not exist");
            }
        }
        const auto score = [&](size_t i) {
            const auto entries = pyl::report(found[i], tokens[i], n_top);
            const auto end     = std::copy(entries.begin(), entries.end(), reports + i * n_fields);
            std::fill(end, reports + (i + 1) * n_fields, pyl_logprob{ LLAMA_TOKEN_NULL, 0.0f });
        };
        if (pool != nullptr) {
            pool->run(n, score);
        } else {
            for (size_t i = 0; i < n; ++i) {
                score(i);
            }
        }
        return true;
    });
}
