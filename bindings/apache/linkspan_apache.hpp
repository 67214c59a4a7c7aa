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
// A handler that throws closes its own socket with 1011, and no other.
#ifndef LINKSPAN_APACHE_HPP
#define LINKSPAN_APACHE_HPP

#include <linkspan.hpp>

#include "linkspan_apache.h"

namespace linkspan::apache {

// The plugin tells `handlers`, which must live as long as the process. on_request among them is not told: set
// plugin.on_request, whose exceptions are its own to catch.
template <class H>
void serve(linkspan_apache_plugin &plugin, H &handlers) {
    plugin.callbacks = detail::table(handlers);
    plugin.user = &handlers;
}

} // namespace linkspan::apache

#endif
