// Throws at "throw", and echoes everything else.
#include <linkspan_apache.hpp>

#include <stdexcept>

namespace {
struct Throws {
    void on_message(linkspan::Connection connection, linkspan::Kind kind, linkspan::Payload payload) {
        if (payload.size() == 5) throw std::runtime_error("as it was asked to");
        connection.send(kind, payload);
    }
};
} // namespace

extern "C" int throws(linkspan_apache_plugin *plugin) {
    static Throws handlers;
    linkspan::apache::serve(*plugin, handlers);
    return 0;
}
