#include "bridge.h"
#include "guard.h"
#include "sampler.h"

bool pyl_sample_verify(
    llama_context * ctx, pyl_sampler * sampler, int32_t row, const llama_token * draft, size_t n_draft,
    llama_token * token, size_t * n_accepted) {
    return pyl::guarded(false, [&] {
        llama_synchronize(ctx);
        size_t n = 0;
        // Row n stands behind draft[0..n): its logits count only as long as all of those were right.
        while ((*token = pyl::sample_row(*sampler, ctx, row + int32_t(n))), n < n_draft && *token == draft[n]) {
            ++n;
        }
        *n_accepted = n;
        return true;
    });
}
