// What the C++ tests share: CHECK, THROWS, a loop that turns until something holds, and a server in it.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <linkspan.hpp>

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (0)

// The statement must throw an Error of this status.
#define THROWS(expected, ...)                                                                               \
    do {                                                                                                    \
        linkspan_status status_ = LINKSPAN_OK;                                                              \
        try {                                                                                               \
            __VA_ARGS__;                                                                                    \
        } catch (const linkspan::Error &error_) {                                                           \
            CHECK(*error_.what());                                                                          \
            status_ = error_.status();                                                                      \
        }                                                                                                   \
        if (status_ != (expected)) {                                                                        \
            std::fprintf(stderr, "%s:%d: %s: %d\n", __FILE__, __LINE__, #__VA_ARGS__, static_cast<int>(status_)); \
            std::exit(1);                                                                                   \
        }                                                                                                   \
    } while (0)

template <class Condition>
void turn_until(linkspan::Loop &loop, Condition condition) {
    for (int turns = 0; !condition(); turns++) {
        CHECK(turns < 10000);
        loop.run_once(std::chrono::seconds(1));
    }
}

// A server in this loop that listens.
template <class H>
linkspan::Server serve(linkspan::Loop &loop, H handlers, linkspan::ServerOptions options = {}) {
    options.event_loop = loop.raw();
    linkspan::Server server(std::move(handlers), options);
    server.listen("127.0.0.1", 0);
    server.start();
    return server;
}

inline std::string url_of(const linkspan::Server &server, const char *target = "/") {
    return "ws://127.0.0.1:" + std::to_string(server.port()) + target;
}

struct Echo {
    void on_message(linkspan::Connection connection, linkspan::Kind kind, linkspan::Payload data) {
        connection.send(kind, data);
    }
};

#endif
