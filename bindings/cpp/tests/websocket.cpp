// WebSocket: the browser's class by the rules of its standard, and what C++ adds: destruction, replacement and
// exceptions inside its own handlers.
#include "check.hpp"

#include <linkspan_websocket.hpp>

using linkspan::CloseEvent;
using linkspan::Connection;
using linkspan::ErrorEvent;
using linkspan::Event;
using linkspan::Kind;
using linkspan::MessageEvent;
using linkspan::WebSocket;

// The statement must throw a DomException of this name.
#define THROWS_DOM(expected, ...)                                                        \
    do {                                                                                 \
        std::string name_;                                                               \
        try {                                                                            \
            __VA_ARGS__;                                                                 \
        } catch (const linkspan::DomException &error_) {                                 \
            CHECK(*error_.what() && error_.status() < 0);                                \
            name_ = error_.name();                                                       \
        }                                                                                \
        if (name_ != (expected)) {                                                       \
            std::fprintf(stderr, "%s:%d: '%s'\n", __FILE__, __LINE__, name_.c_str());    \
            std::exit(1);                                                                \
        }                                                                                \
    } while (0)

// Does what messages say: "close CODE REASON", "abort", "hold" (reads no more); echoes the rest.
struct Obedient {
    void on_request(Connection connection, const linkspan::Request &request) {
        if (request.target() == "/refused") connection.reject(403, "no entry\n");
        if (request.target() == "/deferred") connection.defer();
    }
    void on_message(Connection connection, Kind kind, std::string_view data) {
        if (data.substr(0, 6) == "close ")
            connection.close(static_cast<std::uint16_t>(std::stoi(std::string(data.substr(6, 4)))), data.substr(11));
        else if (data == "abort")
            connection.abort();
        else if (data == "hold")
            connection.pause();
        else
            connection.send(kind, data);
    }
};

// Writes down every event, with the state that it finds.
static void record(WebSocket &socket, std::string &log) {
    const auto state = [&socket] { return std::to_string(socket.readyState()); };
    socket.onopen = [&, state](const Event &event) { log += event.type + state() + " "; };
    socket.onmessage = [&, state](const MessageEvent &event) { log += event.type + state() + " "; };
    socket.onerror = [&, state](const ErrorEvent &event) {
        CHECK(!event.message.empty());
        log += event.type + state() + " ";
    };
    socket.onclose = [&, state](const CloseEvent &event) {
        log += event.type + state() + ":" + std::to_string(event.code) + (event.wasClean ? "clean" : "") + event.reason + ".";
    };
}

// The log must be this.
#define LOGGED(log, expected)                                                                                    \
    do {                                                                                                         \
        const std::string log_ = (log), expected_ = (expected);                                                  \
        if (log_ != expected_) {                                                                                 \
            std::fprintf(stderr, "%s:%d: '%s', not '%s'\n", __FILE__, __LINE__, log_.c_str(), expected_.c_str()); \
            std::exit(1);                                                                                        \
        }                                                                                                        \
    } while (0)

static bool ended(const std::string &log) { return !log.empty() && log.back() == '.'; }

// What a connection to this target comes to that sends one text.
static std::string life(const char *target, const char *text) {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Obedient());
    std::string log;
    WebSocket socket(loop, url_of(server, target));
    record(socket, log);
    CHECK(socket.readyState() == WebSocket::CONNECTING);
    socket.onopen = [&] {
        log += "open" + std::to_string(socket.readyState()) + " ";
        socket.send(text);
        if (std::string_view(text) == "bye") socket.close(3001, "enough");
        if (std::string_view(text) == "no code") socket.close();
    };
    turn_until(loop, [&] { return ended(log); });
    CHECK(socket.readyState() == WebSocket::CLOSED);
    return log;
}

static void ends_as_in_a_browser() {
    // The reason is the peer's; ours answers a close frame with its code alone.
    LOGGED(life("/", "bye"), "open1 close3:3001clean.");
    LOGGED(life("/", "no code"), "open1 close3:1005clean.");
    LOGGED(life("/", "close 4000 theirs"), "open1 close3:4000cleantheirs.");
    LOGGED(life("/", "close 1001 "), "open1 close3:1001clean.");
    // An end without a close frame is no failure of its own.
    LOGGED(life("/", "abort"), "open1 close3:1006.");
    LOGGED(life("/refused", ""), "error3 close3:1006.");
}

static void a_fault_of_the_peer_is_1006() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    linkspan::Config config;
    config.max_message_bytes = 10;
    linkspan::ClientOptions options;
    options.config = &config;
    std::string log;
    WebSocket socket(loop, url_of(server), {}, options);
    record(socket, log);
    socket.onopen = [&] { socket.send("more than ten bytes"); };
    turn_until(loop, [&] { return ended(log); });
    LOGGED(log, "error3 close3:1006.");
}

static void arguments_are_checked() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Obedient());
    for (const char *url : {"", "no scheme", "ftp://localhost/", "ws://localhost/#fragment", "ws://localhost/#", "/relative", "ws://"})
        THROWS_DOM("SyntaxError", WebSocket(loop, url));
    const std::string url = url_of(server);
    THROWS_DOM("SyntaxError", WebSocket(loop, url, ""));
    THROWS_DOM("SyntaxError", WebSocket(loop, url, "two words"));
    THROWS_DOM("SyntaxError", WebSocket(loop, url, {"a", "b", "a"}));
    THROWS_DOM("SyntaxError", WebSocket(loop, url, "a,b"));
    THROWS_DOM("SyntaxError", WebSocket(loop, url, "\xc3\xbc"));

    std::string log;
    WebSocket socket(loop, "HTTP" + url.substr(2), {"one", "two"});
    CHECK(socket.url() == url && socket.protocol().empty() && socket.extensions().empty());
    CHECK(socket.binaryType == linkspan::BinaryType::blob);
    record(socket, log);
    for (const int code : {0, 999, 1001, 1005, 1006, 1011, 2999, 5000, 65535})
        THROWS_DOM("InvalidAccessError", socket.close(static_cast<std::uint16_t>(code)));
    THROWS_DOM("SyntaxError", socket.close(1000, std::string(124, 'x')));
    THROWS_DOM("InvalidStateError", socket.send("too early"));
    CHECK(socket.readyState() == WebSocket::CONNECTING && socket.bufferedAmount() == 0);
    turn_until(loop, [&] { return log == "open1 "; });
    THROWS_DOM("SyntaxError", socket.close(1000, "\xff"));
    THROWS(LINKSPAN_INVALID_UTF8, socket.send("\xff"));
    CHECK(socket.readyState() == WebSocket::OPEN && socket.bufferedAmount() == 0);
    CHECK(socket.extensions().find("permessage-deflate") == std::string::npos);
    socket.close(4999, std::string(123, 'x'));
    socket.close(4000, "twice is nothing");
    THROWS_DOM("InvalidAccessError", socket.close(1));
    turn_until(loop, [&] { return ended(log); });
    LOGGED(log, "open1 close3:4999clean.");
    socket.close();
}

static void says_what_was_agreed() {
    linkspan::Loop loop;
    linkspan::Config config;
    config.subprotocols = "two";
    config.deflate = 1;
    linkspan::ServerOptions options;
    options.config = &config;
    linkspan::Server server = serve(loop, Echo(), options);
    WebSocket socket(loop, url_of(server, "/path?q"), {"one", "two"});
    bool is_open = false;
    socket.onopen = [&] { is_open = true; };
    turn_until(loop, [&] { return is_open; });
    CHECK(socket.protocol() == "two" && socket.url() == url_of(server, "/path?q"));
    CHECK((socket.extensions() == "permessage-deflate") == linkspan_has(LINKSPAN_FEATURE_DEFLATE));
}

static void messages_of_both_kinds() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    WebSocket socket(loop, url_of(server));
    int heard = 0;
    std::shared_ptr<const std::string> kept;
    const std::vector<unsigned char> bytes = {1, 2, 3};
    socket.onopen = [&] {
        socket.send(std::string("text"));
        socket.send(bytes);
        socket.send(bytes.data(), 2);
        CHECK(socket.bufferedAmount() == 9);
    };
    socket.onmessage = [&](const MessageEvent &event) {
        CHECK(std::string_view(event.type) == "message" && "ws://127.0.0.1:" + std::to_string(server.port()) == event.origin);
        heard++;
        if (heard == 1) CHECK(event.kind == Kind::text && event.data == "text" && !event.blob);
        if (heard == 2) {
            CHECK(event.kind == Kind::binary && event.data == "\1\2\3" && *event.blob == event.data);
            kept = event.blob;
            socket.binaryType = linkspan::BinaryType::arraybuffer;
        }
        if (heard == 3) CHECK(event.kind == Kind::binary && event.data == "\1\2" && !event.blob);
    };
    turn_until(loop, [&] { return heard == 3; });
    CHECK(*kept == "\1\2\3" && socket.bufferedAmount() == 0);
}

static void buffered_amount_only_grows_after_the_close() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Obedient());
    std::string log;
    const std::string large(8 << 20, 'a');
    linkspan::Config config;
    config.close_timeout = 1;
    config.max_outbox_bytes = 20 << 20;
    linkspan::ClientOptions options;
    options.config = &config;
    WebSocket socket(loop, url_of(server), {}, options);
    record(socket, log);
    turn_until(loop, [&] { return log == "open1 "; });
    socket.send("hold");
    turn_until(loop, [&] { return socket.bufferedAmount() == 0; });
    // More than the streams take: some of it waits, and can never be sent.
    socket.send(large);
    socket.close();
    CHECK(socket.readyState() == WebSocket::CLOSING);
    const std::uint64_t before = socket.bufferedAmount();
    socket.send("four");
    socket.send(linkspan::Kind::binary, "four");
    CHECK(socket.bufferedAmount() == before + 8 && before >= large.size());
    turn_until(loop, [&] { return ended(log); });
    const std::uint64_t after = socket.bufferedAmount();
    CHECK(after > 8 && after <= before + 8);
    socket.send("more");
    CHECK(socket.bufferedAmount() == after + 4);

    // What cannot be buffered ends the connection.
    log.clear();
    WebSocket full(loop, url_of(server), {}, options);
    record(full, log);
    turn_until(loop, [&] { return log == "open1 "; });
    for (int i = 0; i < 3; i++) full.send(large);
    CHECK(full.readyState() == WebSocket::CLOSING);
    turn_until(loop, [&] { return ended(log); });
    CHECK(log == "open1 error3 close3:1006." && full.bufferedAmount() >= large.size());
}

static void closing_while_connecting_fails() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Obedient());
    std::string log;
    WebSocket at_once(loop, url_of(server));
    record(at_once, log);
    at_once.close();
    CHECK(at_once.readyState() == WebSocket::CLOSING && log.empty());
    turn_until(loop, [&] { return ended(log); });
    LOGGED(log, "error3 close3:1006.");

    log.clear();
    WebSocket asking(loop, url_of(server, "/deferred"));
    record(asking, log);
    for (int turns = 0; turns < 20; turns++) loop.run_once(std::chrono::milliseconds(1));
    CHECK(asking.readyState() == WebSocket::CONNECTING && log.empty());
    asking.close(3000, "changed my mind");
    turn_until(loop, [&] { return ended(log); });
    LOGGED(log, "error3 close3:1006.");
}

static void handlers_are_replaced_inside_themselves() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    WebSocket socket(loop, url_of(server));
    std::string log;
    socket.onopen = [&, owned = std::make_unique<std::string>("first")] {
        socket.onopen = nullptr;
        CHECK(!socket.onopen);
        log += *owned;
        socket.send("1");
        socket.send("2");
        socket.send("3");
    };
    socket.onmessage = [&, text = std::string("a long enough text of its own")](const MessageEvent &event) {
        socket.onmessage = [&](const MessageEvent &second) {
            socket.onmessage = nullptr;
            log += " second" + std::string(second.data);
            socket.close();
        };
        log += " " + text + std::string(event.data);
    };
    bool is_closed = false;
    socket.onclose = [&] { is_closed = true; };
    turn_until(loop, [&] { return is_closed; });
    LOGGED(log, "first a long enough text of its own1 second2");
}

static void destroyed_in_its_own_handlers() {
    for (const std::string where : {"open", "message", "error", "close"}) {
        linkspan::Loop loop;
        std::uint16_t code = 0;
        linkspan::Handlers serving;
        serving.on_message = [](Connection connection, Kind kind, std::string_view data) { connection.send(kind, data); };
        serving.on_close = [&](Connection, const linkspan::CloseInfo &info) { code = info.code; };
        linkspan::Server server = serve(loop, serving);
        const std::string url = where == "error" ? "ws://127.0.0.1:1/" : url_of(server);
        auto socket = std::make_unique<WebSocket>(loop, url);
        int later = 0;
        const auto here = [&, name = std::string("a name that is still there")] {
            socket.reset();
            CHECK(name.size() == 26);
        };
        const auto never = [&] { later++; };
        socket->onopen = [&] { socket->send("echo me"); };
        socket->onmessage = [&] { socket->close(); };
        socket->onclose = never;
        if (where == "open") {
            socket->onopen = here;
            socket->onmessage = never;
        } else if (where == "message") {
            socket->onmessage = here;
        } else if (where == "error") {
            socket->onerror = here;
        } else {
            socket->onclose = here;
        }
        if (where == "error") {
            turn_until(loop, [&] { return !socket; });
        } else {
            turn_until(loop, [&] { return code != 0; });
            CHECK(code == (where == "close" ? 1005 : 1001));
        }
        for (int turns = 0; turns < 3; turns++) loop.run_once(std::chrono::milliseconds(0));
        CHECK(!socket && later == 0);
    }
    // Before it was open, and after its loop.
    auto loop = std::make_unique<linkspan::Loop>();
    linkspan::Server server = serve(*loop, Echo());
    { WebSocket gone(*loop, url_of(server)); }
    WebSocket left(*loop, url_of(server));
    std::string log;
    record(left, log);
    loop.reset();
    CHECK(ended(log) && left.readyState() == WebSocket::CLOSED);
    left.send("counted");
    CHECK(left.bufferedAmount() == 7);
    left.close();
}

static void throwing_handlers() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    std::string log, told;
    WebSocket socket(loop, url_of(server));
    record(socket, log);
    socket.onopen = [&] { throw std::runtime_error("trouble of its own"); };
    socket.onerror = [&](const ErrorEvent &event) { told = event.message; };
    turn_until(loop, [&] { return ended(log); });
    CHECK(told.find("trouble of its own") != std::string::npos && log == "close3:1011clean.");

    // Also onerror and onclose themselves.
    WebSocket worse(loop, url_of(server, "/"));
    int closed = 0, errors = 0;
    worse.onopen = [] { throw 7; };
    worse.onerror = [&] {
        errors++;
        throw 8;
    };
    worse.onclose = [&] {
        closed++;
        throw std::runtime_error("the last");
    };
    turn_until(loop, [&] { return closed == 1; });
    CHECK(errors == 2);
}

int main() {
    ends_as_in_a_browser();
    a_fault_of_the_peer_is_1006();
    arguments_are_checked();
    says_what_was_agreed();
    messages_of_both_kinds();
    buffered_amount_only_grows_after_the_close();
    closing_while_connecting_fails();
    handlers_are_replaced_inside_themselves();
    destroyed_in_its_own_handlers();
    throwing_handlers();
    return 0;
}
