#include "guard.h"
#include "sampler.h"
#include "worker_pool.h"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <unordered_set>

namespace pyl {

namespace {

// Keeping more candidates than this in a heap costs more than llama.cpp's own sorting.
constexpr int32_t MAX_HEAP = 256;

// The arg-max has no chain that would add these: the request's biases, and what the model never says.
std::vector<llama_logit_bias> all_biases(const llama_vocab * vocab, const common_params_sampling & p) {
    std::vector<llama_logit_bias> biases     = p.logit_bias;
    int32_t                       n_suppress = 0;
    const llama_token *           suppress   = llama_vocab_get_suppress_tokens(vocab, &n_suppress);
    for (int32_t i = 0; i < n_suppress; ++i) {
        biases.push_back({ suppress[i], -INFINITY });
    }
    return biases;
}

// How many candidates matter to a chain: k where its first link that does anything is top-k.
int32_t count_candidates(llama_sampler * chain, const common_params_sampling & p) {
    for (int i = 0; i < llama_sampler_chain_n(chain); ++i) {
        const char * name = llama_sampler_name(llama_sampler_chain_get(chain, i));
        // llama.cpp marks a link whose parameters turn it off.
        if (name[0] != '?') {
            return std::strcmp(name, "top-k") == 0 && p.top_k <= MAX_HEAP ? p.top_k : 0;
        }
    }
    return 0;
}

// The row with the biases added that an arg-max has no chain to add.
logits_row biased(const pyl_sampler & sampler, logits_row row) {
    if (sampler.biases.empty()) {
        return row;
    }
    thread_local std::vector<float> sums;
    sums.assign(row.data, row.data + row.n_vocab);
    for (const auto & bias : sampler.biases) {
        sums[bias.token] += bias.bias;
    }
    return { sums.data(), row.n_vocab };
}

// The candidate with the largest logit, LLAMA_TOKEN_NULL where none has a number.
llama_token largest(const std::vector<llama_token_data> & candidates) {
    llama_token_data best = { LLAMA_TOKEN_NULL, -INFINITY, 0.0f };
    for (const auto & candidate : candidates) {
        if (candidate.logit > best.logit) {
            best = candidate;
        }
    }
    return best.id;
}

// Lets the chain pick one of the candidates, LLAMA_TOKEN_NULL where all of them are impossible.
llama_token pick(pyl_sampler & sampler, std::vector<llama_token_data> & candidates, bool is_sorted) {
    llama_token_data_array array = { candidates.data(), candidates.size(), -1, is_sorted };
    llama_sampler_apply(common_sampler_get(sampler.chain.get()), &array);
    if (array.selected < 0 || static_cast<size_t>(array.selected) >= array.size) {
        throw std::runtime_error("the sampler chain selected nothing");
    }
    const llama_token_data picked = array.data[array.selected];
    if (sampler.n_logprobs >= 0 && sampler.is_post_sampling) {
        sampler.picked = report(array, picked.id, sampler.n_logprobs);
    }
    // A constraint knows what to do where no token is left; without one it never happens.
    return picked.logit == -INFINITY && sampler.constraint != nullptr ? LLAMA_TOKEN_NULL : picked.id;
}

llama_token draw_free(pyl_sampler & sampler, logits_row row) {
    if (sampler.chain == nullptr) {
        return argmax(row);
    }
    thread_local std::vector<llama_token_data> candidates;
    if (sampler.n_candidates > 0) {
        top_candidates(row, sampler.n_candidates, candidates);
    } else {
        all_candidates(row, candidates);
    }
    if (candidates.empty()) {
        throw std::runtime_error("the logits hold no number");
    }
    return pick(sampler, candidates, sampler.n_candidates > 0);
}

// Draws among what the constraint takes, LLAMA_TOKEN_NULL where that is nothing.
llama_token draw_constrained(pyl_sampler & sampler, logits_row row) {
    thread_local std::vector<llama_token_data> candidates;
    // Where the chain looks at the k likeliest only, and k of the first few are left, those are they.
    // PERF: a grammar takes 20 times as long for a whole vocabulary.
    const size_t n_wanted = sampler.chain == nullptr ? 1 : sampler.n_candidates;
    if (n_wanted > 0 && !sampler.constraint->is_forcing()) {
        top_candidates(row, MAX_HEAP, candidates);
        sampler.constraint->filter(candidates);
        if (candidates.size() >= n_wanted) {
            return sampler.chain == nullptr ? candidates[0].id : pick(sampler, candidates, true);
        }
    }
    all_candidates(row, candidates);
    sampler.constraint->filter(candidates);
    if (sampler.chain == nullptr || candidates.empty()) {
        return largest(candidates);
    }
    return pick(sampler, candidates, false);
}

// Draws a token, LLAMA_TOKEN_NULL where a constraint leaves none.
llama_token draw(pyl_sampler & sampler, logits_row row) {
    if (sampler.constraint == nullptr || !sampler.constraint->is_forcing()) {
        const llama_token token = draw_free(sampler, row);
        if (sampler.constraint == nullptr || (token != LLAMA_TOKEN_NULL && sampler.constraint->takes(token))) {
            return token;
        }
    }
    return draw_constrained(sampler, row);
}

void add_report(pyl_sampler & sampler, logits_row row, llama_token drawn, llama_token token) {
    if (!sampler.is_post_sampling) {
        sampler.reports.push_back(report(row, token, sampler.n_logprobs));
    } else if (sampler.chain != nullptr && drawn == token) {
        sampler.reports.push_back(std::move(sampler.picked));
    } else {
        // After an arg-max, and where the answer was ended, there is one candidate.
        sampler.reports.emplace_back(sampler.n_logprobs > 0 ? 2 : 1, pyl_logprob{ token, 0.0f });
    }
}

// Logits that are looked at before it pays to wake up other threads: about 0.1 ms of work, where
// waking them takes 0.01 ms.
constexpr size_t MIN_SHARED_WORK = 1 << 20;

// Rows [start, start + count) of a call, which belong to one sampler and follow upon each other.
struct job {
    size_t start;
    size_t count;
};

// What a row costs, in logits that are looked at once, as an arg-max does it.
size_t work_of(const pyl_sampler & sampler) {
    // PERF: measured on 49,152 logits: arg-max 5 us, 40 candidates 20 us, exponentials 160 us, a chain
    // over the whole vocabulary 200 us and more.
    size_t n_passes = sampler.chain == nullptr ? 1 : sampler.n_candidates > 0 ? 4 : 40;
    if (sampler.constraint != nullptr) {
        n_passes += 20;
    }
    if (sampler.n_logprobs >= 0 && !sampler.is_post_sampling) {
        n_passes += 32;
    }
    return n_passes * sampler.n_vocab;
}

std::vector<job> make_jobs(pyl_sampler * const * samplers, size_t n) {
    std::vector<job>                        jobs;
    std::unordered_set<const pyl_sampler *> seen;
    for (size_t i = 0; i < n; ++i) {
        if (i > 0 && samplers[i] == samplers[i - 1]) {
            ++jobs.back().count;
            continue;
        }
        if (!seen.insert(samplers[i]).second) {
            throw std::invalid_argument("the rows of one sampler must stand side by side");
        }
        jobs.push_back({ i, 1 });
    }
    return jobs;
}

}  // namespace

logits_row get_row(llama_context * ctx, int32_t row, int32_t n_vocab) {
    // A negative row would count from the end; llama-common ends the process on a row without logits.
    const float * logits = row < 0 ? nullptr : llama_get_logits_ith(ctx, row);
    if (logits == nullptr) {
        throw std::runtime_error("no logits for batch row " + std::to_string(row));
    }
    return { logits, n_vocab };
}

llama_token sample_row(pyl_sampler & sampler, logits_row logits) {
    const logits_row  row   = biased(sampler, logits);
    const llama_token drawn = draw(sampler, row);
    const llama_token token = sampler.constraint == nullptr ? drawn : sampler.constraint->accept(drawn);
    if (sampler.chain != nullptr) {
        common_sampler_accept(sampler.chain.get(), token, true);
    }
    if (sampler.n_logprobs >= 0) {
        add_report(sampler, logits, drawn, token);
    }
    return token;
}

}  // namespace pyl

pyl_sampler * pyl_sampler_new(const llama_model * model, const char * params) {
    return pyl::guarded(static_cast<pyl_sampler *>(nullptr), [&] {
        const llama_vocab * vocab   = llama_model_get_vocab(model);
        const auto          json    = common_json::parse(params);
        auto                p       = pyl::read_sampling_params(vocab, json);
        auto                sampler = std::make_unique<pyl_sampler>();
        sampler->n_vocab            = llama_vocab_n_tokens(vocab);
        sampler->n_logprobs         = json.at("logprobs").is_null() ? -1 : json.at("logprobs").get<int32_t>();
        sampler->is_post_sampling   = json.at("post_sampling_probs").get<bool>();
        if (pyl::constraint::is_wanted(p)) {
            sampler->constraint = std::make_unique<pyl::constraint>(vocab, p);
            pyl::constraint::take_out(p);
        }
        if (pyl::is_argmax(p)) {
            sampler->seed   = p.seed;
            sampler->biases = pyl::all_biases(vocab, p);
        } else {
            sampler->chain.reset(common_sampler_init(model, p));
            sampler->seed         = common_sampler_get_seed(sampler->chain.get());
            sampler->n_candidates = pyl::count_candidates(common_sampler_get(sampler->chain.get()), p);
        }
        return sampler.release();
    });
}

void pyl_sampler_free(pyl_sampler * sampler) {
    delete sampler;
}

bool pyl_sampler_is_greedy(const pyl_sampler * sampler) {
    return sampler->chain == nullptr;
}

int32_t pyl_sampler_n_candidates(const pyl_sampler * sampler) {
    return sampler->n_candidates;
}

uint32_t pyl_sampler_seed(const pyl_sampler * sampler) {
    return sampler->seed;
}

bool pyl_sampler_has_given_up(const pyl_sampler * sampler) {
    return sampler->constraint != nullptr && sampler->constraint->has_given_up();
}

bool pyl_sampler_accept_prompt(pyl_sampler * sampler, const llama_token * tokens, size_t n_tokens) {
    return pyl::guarded(false, [&] {
        if (sampler->chain != nullptr) {
            for (size_t i = 0; i < n_tokens; ++i) {
                common_sampler_accept(sampler->chain.get(), tokens[i], false);
            }
        }
        return true;
    });
}

bool pyl_sample_rows(
    llama_context * ctx, pyl_pool * pool, pyl_sampler * const * samplers, const int32_t * rows, size_t n,
    llama_token * tokens) {
    return pyl::guarded(false, [&] {
        const auto                   jobs = pyl::make_jobs(samplers, n);
        std::vector<pyl::logits_row> found;
        size_t                       work = 0;
        for (size_t i = 0; i < n; ++i) {
            // On this thread: the first call waits for the device and puts the rows in order.
            found.push_back(pyl::get_row(ctx, rows[i], samplers[i]->n_vocab));
            work += pyl::work_of(*samplers[i]);
        }
        const auto sample = [&](size_t k) {
            for (size_t i = jobs[k].start; i < jobs[k].start + jobs[k].count; ++i) {
                tokens[i] = pyl::sample_row(*samplers[i], found[i]);
            }
        };
        if (pool != nullptr && work >= pyl::MIN_SHARED_WORK) {
            pool->run(jobs.size(), sample);
        } else {
            for (size_t k = 0; k < jobs.size(); ++k) {
                sample(k);
            }
        }
        return true;
    });
}
