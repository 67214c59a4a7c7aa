// An echo over the C++ classes, the exception type, and a handler that throws.
#include <linkspan.hpp>

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            std::exit(1);                                                           \
        }                                                                           \
    } while (0)

using linkspan::Connection;
using linkspan::Kind;

int main() {
    linkspan::Handlers serving;
    serving.on_message = [](Connection connection, Kind kind, std::string_view data) {
        if (data == "throw") throw std::runtime_error("the handler's own trouble");
        connection.send(kind, data);
    };
    linkspan::Server server(serving);
    server.listen("127.0.0.1", 0);
    server.start();
    const std::string url = "ws://127.0.0.1:" + std::to_string(server.port()) + "/";

    auto owned = std::make_unique<linkspan::Loop>();
    linkspan::Loop &loop = *owned;
    std::string echoed, last_reason;
    int code = 0;
    auto client = [&](const char *text) {
        linkspan::Handlers handlers;
        handlers.on_open = [text](Connection connection) { connection.send_text(text); };
        handlers.on_message = [&](Connection connection, Kind kind, std::string_view data) {
            CHECK(kind == Kind::text && connection.url() == url && connection.protocol().empty());
            echoed = data;
            connection.close(4000, "enough");
        };
        handlers.on_close = [&](Connection, const linkspan_close_info &info) {
            code = info.code;
            loop.stop();
        };
        return loop.connect(url, handlers);
    };
    Connection connection = client("hello");
    CHECK(connection.ready_state() == linkspan::ReadyState::connecting);
    loop.run();
    CHECK(echoed == "hello" && code == 4000);
    CHECK(connection.ready_state() == linkspan::ReadyState::closed);
    try {
        connection.send_text("late");
        CHECK(false);
    } catch (const linkspan::Error &error) {
        CHECK(error.status() == LINKSPAN_CLOSED && *error.what());
    }

    client("throw");
    loop.run();
    CHECK(code == 1011);

    try {
        linkspan::Tls::server("missing.pem", "missing.key");
        CHECK(false);
    } catch (const linkspan::Error &error) {
        CHECK(std::string(error.what()).find("missing.pem") != std::string::npos);
    }
    owned.reset();
    server.drain(std::chrono::seconds(5));
    server.wait();
    linkspan::Server moved = std::move(server);
    CHECK(moved.port() != 0);
    return 0;
}
