// linkspan_apache.hpp: plugins of mod_linkspan with the handlers of linkspan.hpp.
//
//     struct Shout {
//         void on_message(linkspan::Connection connection, linkspan::Kind kind, linkspan::Payload payload) { ... }
//     };
//
//     extern "C" int shout(linkspan_apache_plugin *plugin) {
//         static Shout handlers;
//         linkspan::apache::serve(*plugin, handlers);
//         return 0;
//     }
//
// A handler that throws closes its own socket with 1011, and no other; the error log has what it threw.
#ifndef LINKSPAN_APACHE_HPP
#define LINKSPAN_APACHE_HPP

#include <linkspan.hpp>

#include "linkspan_apache.h"

namespace linkspan::apache {

namespace detail {

// Of this shared object alone: where its exceptions are told.
[[maybe_unused]] static const linkspan_apache_plugin *told = nullptr;

struct Logged {
    static void thrown(std::exception_ptr what) noexcept {
        try {
            std::rethrow_exception(what);
        } catch (const std::exception &error) {
            say(error.what());
        } catch (...) {
            say("something that is no std::exception");
        }
    }

    static void say(const char *what) noexcept {
        try {
            const std::string line = std::string("a handler has thrown: ") + what;
            told->log(told, LINKSPAN_LOG_ERROR, line.c_str());
        } catch (...) { // No memory for a line.
        }
    }
};

} // namespace detail

// The plugin tells `handlers`, which must live as long as the process. on_request among them is not told: set
// plugin.on_request, whose exceptions are its own to catch.
template <class H>
void serve(linkspan_apache_plugin &plugin, H &handlers) {
    detail::told = &plugin;
    plugin.callbacks = linkspan::detail::table<H, detail::Logged>(handlers);
    plugin.user = &handlers;
}

} // namespace linkspan::apache

#endif
