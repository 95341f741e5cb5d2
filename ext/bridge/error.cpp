#include "bridge.h"
#include "guard.h"

#include "log.h"

#include <climits>

#if defined(_WIN32)
#    include <process.h>
#else
#    include <unistd.h>
#endif

namespace pyl {

std::string & last_error() {
    thread_local std::string message;
    return message;
}

}  // namespace pyl

const char * pyl_last_error(void) {
    return pyl::last_error().c_str();
}

void pyl_free(char * text) {
    std::free(text);
}

int32_t pyl_process_id(void) {
#if defined(_WIN32)
    return _getpid();
#else
    return static_cast<int32_t>(getpid());
#endif
}

void pyl_quiet_common_log(void) {
    common_log_set_verbosity_thold(INT_MIN);
}
