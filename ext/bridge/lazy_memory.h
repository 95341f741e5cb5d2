// Memory that is taken from the system when it is first written to.

#pragma once

namespace pyl {

// Makes buffers that llama.cpp allocates on the host from now on give their pages back where they
// are cleared to zero, instead of writing zeros. Once is enough; any thread may call it.
void make_host_memory_lazy();

}  // namespace pyl
