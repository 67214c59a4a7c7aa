// Clients: their options, a resolver of their own, reconnection.
#include "check.hpp"

#include <linkspan_websocket.hpp>

#include <thread>

using linkspan::Connection;
using linkspan::Kind;

// Answers for hosts that only it knows; from another thread, or with a refusal.
struct Resolver {
    void on_resolve(Connection, const char *host, std::uint16_t port, linkspan::Resolution resolution) {
        *asked += std::string(host) + " ";
        if (std::string_view(host) == "somewhere.test") {
            CHECK(port != 0);
            std::thread([resolution] {
                THROWS(LINKSPAN_INVALID_ARGUMENT, resolution.answer({"no address"}));
                resolution.answer({"127.0.0.1"});
                THROWS(LINKSPAN_CLOSED, resolution.fail("too late"));
            }).join();
        } else {
            resolution.fail("no such name");
        }
    }
    void on_open(Connection connection) { connection.close(); }
    void on_error(Connection, const linkspan::Error &error) { *asked += error.what(); }
    void on_close(Connection, const linkspan::CloseInfo &) { ++*ended; }
    std::string *asked;
    int *ended;
};

static void resolves_by_itself() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    std::string asked;
    int ended = 0;
    loop.connect("ws://somewhere.test:" + std::to_string(server.port()) + "/", Resolver{&asked, &ended});
    turn_until(loop, [&] { return ended == 1; });
    CHECK(asked == "somewhere.test ");
    loop.connect("ws://nowhere.test/", Resolver{&asked, &ended});
    turn_until(loop, [&] { return ended == 2; });
    CHECK(asked.find("nowhere.test ") != std::string::npos && asked.find("no such name") != std::string::npos);
}

static void sends_its_headers() {
    linkspan::Loop loop;
    std::string seen;
    linkspan::Handlers serving;
    serving.on_request = [&](Connection, const linkspan::Request &request) {
        seen = std::string(*request.header("x-mine")) + " " + std::string(*request.header("cookie"));
    };
    linkspan::Server server = serve(loop, serving);
    const linkspan::Headers headers = {{"X-Mine", "yes"}};
    linkspan::ClientOptions options;
    options.headers = headers.data();
    options.header_count = headers.size();
    options.cookies = "a=b";
    bool is_open = false;
    linkspan::Handlers handlers;
    handlers.on_open = [&](Connection) { is_open = true; };
    loop.connect(url_of(server), handlers, options);
    turn_until(loop, [&] { return is_open; });
    CHECK(seen == "yes a=b");
}

// Breaks a connection off when it is asked to.
struct Breaking {
    void on_message(Connection connection, Kind, std::string_view) { connection.abort(); }
};

static void comes_back_after_a_loss() {
    linkspan::Loop loop;
    int opened = 0, lost = 0, again = 0, closed = 0;
    linkspan::Server server = serve(loop, Breaking());
    linkspan::ClientOptions options;
    options.reconnect_delay = 1;
    linkspan::Handlers handlers;
    handlers.on_open = [&](Connection connection) {
        if (++opened == 1) connection.send_text("break");
    };
    handlers.on_reconnect = [&](Connection connection, const linkspan::CloseInfo &info, std::chrono::milliseconds delay) {
        CHECK(info.code == 1006 && delay.count() <= 1);
        CHECK(connection.ready_state() == linkspan::ReadyState::connecting);
        lost++;
    };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &) { closed++; };
    const Connection connection = loop.connect(url_of(server), handlers, options);
    turn_until(loop, [&] { return opened == 2; });
    CHECK(lost == 1 && closed == 0);
    connection.close();
    turn_until(loop, [&] { return closed == 1; });

    linkspan::WebSocket socket(loop, url_of(server), {}, options);
    std::string states;
    socket.onopen = [&] {
        states += std::to_string(socket.readyState());
        if (++again == 1) socket.send("break");
    };
    socket.onclose = [&] { closed++; };
    turn_until(loop, [&] {
        states += std::to_string(socket.readyState());
        return again == 2;
    });
    CHECK(closed == 1 && socket.readyState() == linkspan::WebSocket::OPEN);
    CHECK(states.find("10") != std::string::npos);
    socket.close();
    turn_until(loop, [&] { return closed == 2; });
}

int main() {
    resolves_by_itself();
    sends_its_headers();
    comes_back_after_a_loss();
    return 0;
}
