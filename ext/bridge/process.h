// Which process this is, for what a fork leaves behind. Internal to the bridge.

#pragma once

#if defined(_WIN32)
#    include <process.h>
#else
#    include <unistd.h>
#endif

namespace pyl {

inline int process_id() {
#if defined(_WIN32)
    return _getpid();
#else
    return static_cast<int>(getpid());
#endif
}

}  // namespace pyl
