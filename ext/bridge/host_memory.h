// How llama.cpp's buffers in host memory get their pages.

#pragma once

namespace pyl {

// From now on buffers that llama.cpp allocates on the host are backed by large pages, except what is
// cleared to zero: that takes memory when it is first written to. Once is enough; any thread may call it.
void tune_host_memory();

}  // namespace pyl
