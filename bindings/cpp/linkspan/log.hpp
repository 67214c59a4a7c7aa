// linkspan/log.hpp: where log messages go.
#ifndef LINKSPAN_LOG_HPP
#define LINKSPAN_LOG_HPP

#include <linkspan/connection.hpp>

namespace linkspan {

// Sends log messages up to `level` (LINKSPAN_LOG_WARNING, ...), for the whole process, to
// log(linkspan_log_level, Connection, std::string_view). It may be called on any thread, on several at once and
// after it was replaced: it must never be destroyed, so make it a static one. What it throws is lost.
template <class Log>
void set_log(Log &log, linkspan_log_level level) {
    const linkspan_log_function function = [](void *user, linkspan_log_level of, linkspan_connection connection,
                                              linkspan_text message) noexcept {
        try {
            (*static_cast<Log *>(user))(of, Connection(connection), view(message));
        } catch (...) {
        }
    };
    check(linkspan_set_log(function, &log, level));
}

// Sends them nowhere, as in the beginning.
inline void set_log(std::nullptr_t) { check(linkspan_set_log(nullptr, nullptr, 0)); }

} // namespace linkspan

#endif
