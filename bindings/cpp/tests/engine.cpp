// Engine and Handshake: two ends that talk through memory; a request that a host has read.
#include "check.hpp"

using linkspan::Engine;
using linkspan::Kind;

// What one engine has to send, as the other's to receive.
static std::vector<char> carry(Engine &from) {
    std::vector<char> bytes;
    linkspan_slice slices[4];
    while (const std::size_t count = from.outgoing(slices, 4)) {
        std::size_t sent = 0;
        for (std::size_t i = 0; i < count; i++) {
            const char *data = static_cast<const char *>(slices[i].data);
            bytes.insert(bytes.end(), data, data + slices[i].bytes);
            sent += slices[i].bytes;
        }
        from.sent(sent);
    }
    return bytes;
}

// Both ends talk until neither has more to say; what the server end is told goes to `told`.
template <class Told>
static void talk(Engine &client, Engine &server, std::uint64_t now, Told told) {
    for (;;) {
        std::vector<char> up = carry(client);
        server.receive(up.data(), up.size());
        for (linkspan_event event = server.next_event(now); event.kind != LINKSPAN_EVENT_NONE; event = server.next_event(now))
            told(server, event);
        std::vector<char> down = carry(server);
        client.receive(down.data(), down.size());
        for (linkspan_event event = client.next_event(now); event.kind != LINKSPAN_EVENT_NONE; event = client.next_event(now))
            told(client, event);
        if (up.empty() && down.empty()) return;
    }
}

static void two_ends_talk() {
    linkspan::Config config;
    config.subprotocols = "chat";
    Engine made = Engine::client("ws://example.com/path", 0, config, {{"X-Extra", "1"}});
    Engine client = std::move(made);
    CHECK(!made.raw() && client.raw());
    Engine server = Engine::server(0, config);
    std::string heard;
    const auto told = [&](Engine &engine, const linkspan_event &event) {
        if (event.kind == LINKSPAN_EVENT_REQUEST) {
            const linkspan::Request request(event.request);
            CHECK(request.target() == "/path" && request.header("x-extra") == "1");
            engine.accept(0);
        } else if (event.kind == LINKSPAN_EVENT_MESSAGE) {
            heard += std::string_view(linkspan::Payload(event.data, event.bytes));
        } else if (event.kind == LINKSPAN_EVENT_PONG) {
            heard += "(pong)";
        }
    };
    talk(client, server, 0, told);
    CHECK(client.ready_state() == linkspan::ReadyState::open && server.ready_state() == linkspan::ReadyState::open);
    CHECK(client.url() == "ws://example.com/path" && client.protocol() == "chat" && client.extensions().empty());
    CHECK(!client.close_info());
    client.send(Kind::text, "up");
    CHECK(client.buffered_amount() == 2);
    server.send_fragment(Kind::text, "do", false);
    server.send_fragment(Kind::text, "wn", true);
    client.ping("?");
    server.pong();
    THROWS(LINKSPAN_INVALID_UTF8, client.send(Kind::text, "\xff"));
    server.pause();
    talk(client, server, 1, told);
    CHECK(heard.find("up") == std::string::npos);
    server.resume();
    talk(client, server, 1, told);
    CHECK(heard.find("up") != std::string::npos && heard.find("down") != std::string::npos);
    CHECK(heard.find("(pong)") != std::string::npos && client.next_timeout() != 0);
    client.handle_timeout(1);
    client.stalled(1);
    client.close(2, 4000, "done");
    talk(client, server, 2, told);
    CHECK(server.close_info() && server.close_info()->code == 4000 && server.close_info()->reason == "done");
    CHECK(server.shutdown() == LINKSPAN_SHUTDOWN_WRITE);
    client.end_of_input(3);
    server.end_of_input(3);
    CHECK(server.next_event(3).kind != LINKSPAN_EVENT_MESSAGE);
    client.abort(4);
    client.lost(4);
}

static void refuses() {
    Engine client = Engine::client("ws://example.com/", 0), server = Engine::server(0);
    talk(client, server, 0, [](Engine &engine, const linkspan_event &event) {
        if (event.kind == LINKSPAN_EVENT_REQUEST) engine.reject(0, 404, "nothing here\n", {{"X-Why", "none"}});
    });
    CHECK(client.ready_state() == linkspan::ReadyState::closed && client.close_info()->code == 1006);
    THROWS(LINKSPAN_INVALID_ARGUMENT, Engine::client("https:", 0));
}

static void a_host_has_read_the_request() {
    using linkspan::Handshake;
    Handshake handshake = Handshake::from_headers("GET", "/hosted",
                                                  {{"Host", "example.com"},
                                                   {"Upgrade", "websocket"},
                                                   {"Connection", "Upgrade"},
                                                   {"Sec-WebSocket-Version", "13"},
                                                   {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}});
    CHECK(handshake.status() == 101 && handshake.request().target() == "/hosted" && handshake.body().empty());
    CHECK(!handshake.header_at(0));
    THROWS(LINKSPAN_WRONG_STATE, Engine::adopt(handshake, 0));
    handshake.accept();
    bool is_answered = false;
    for (std::size_t i = 0; const auto field = handshake.header_at(i); i++)
        is_answered |= field->first == "Sec-WebSocket-Accept" && field->second == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    CHECK(is_answered);
    Engine engine = Engine::adopt(handshake, 0);
    CHECK(engine.next_event(0).kind == LINKSPAN_EVENT_OPEN && engine.url() == "/hosted");

    Handshake refused = Handshake::from_headers("GET", "/", {{"Host", "example.com"}});
    CHECK(refused.status() == 426 && !refused.body().empty());
    THROWS(LINKSPAN_WRONG_STATE, refused.accept());
}

int main() {
    two_ends_talk();
    refuses();
    a_host_has_read_the_request();
    return 0;
}
