#include "bridge.h"
#include "guard.h"
#include "sampler.h"

bool pyl_sample_verify(
    llama_context * ctx, pyl_sampler * sampler, int32_t row, const llama_token * draft, size_t n_draft,
    llama_token * token, size_t * n_accepted) {
    return pyl::guarded(false, [&] {
        // Row n stands behind draft[0..n): its logits count only as long as all of those were right.
        for (size_t n = 0;; ++n) {
            const int32_t here = row + int32_t(n);
            *token      = pyl::sample_row(*sampler, pyl::get_row(ctx, here, sampler->n_vocab));
            *n_accepted = n;
            if (n == n_draft || *token != draft[n]) {
                break;
            }
        }
        return true;
    });
}
