// Loop: post with any callable from any thread, stop, shutdown, a foreign poll, moving, destruction in a handler.
#include "check.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using linkspan::Connection;
using linkspan::Kind;

static void posts_come_once_and_in_order() {
    linkspan::Loop loop;
    const int threads = 4, each = 500;
    std::vector<int> last(threads, -1);
    int count = 0;
    std::vector<std::thread> posting;
    for (int thread = 0; thread < threads; thread++)
        posting.emplace_back([&, thread] {
            for (int i = 0; i < each; i++)
                // A capture that can only be moved.
                loop.post([&, thread, number = std::make_unique<int>(i)] {
                    CHECK(*number == last[static_cast<std::size_t>(thread)] + 1);
                    last[static_cast<std::size_t>(thread)] = *number;
                    if (++count == threads * each) loop.stop();
                });
        });
    loop.run();
    CHECK(count == threads * each);
    for (std::thread &thread : posting) thread.join();
}

static void posts_that_never_ran_run_at_the_end() {
    int count = 0;
    auto captured = std::make_shared<int>(0);
    {
        linkspan::Loop loop;
        loop.post([&count, captured] { count++; });
        CHECK(captured.use_count() == 2);
    }
    CHECK(count == 1 && captured.use_count() == 1);
    linkspan::Loop moved;
    linkspan::Loop taken = std::move(moved);
    THROWS(LINKSPAN_INVALID_ARGUMENT, moved.post([captured] { CHECK(false); }));
    CHECK(captured.use_count() == 1);
    taken.post([&count] { count++; });
    moved = std::move(taken);
    moved.run_once(std::chrono::milliseconds(0));
    CHECK(count == 2 && moved.raw() && !taken.raw());
}

static void lives_in_a_foreign_loop() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    bool is_closed = false;
    linkspan::Handlers handlers;
    handlers.on_open = [](Connection connection) { connection.send_text("polled"); };
    handlers.on_message = [](Connection connection, Kind, std::string_view) { connection.close(); };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &) { is_closed = true; };
    loop.connect(url_of(server), handlers);
    int turns = 0;
    while (!is_closed) {
        CHECK(turns++ < 10000);
        pollfd waiting = {loop.fd(), POLLIN, 0};
        CHECK(poll(&waiting, 1, static_cast<int>(loop.next_timeout())) >= 0);
        loop.run_once(std::chrono::milliseconds(0));
    }
    const linkspan::Metrics metrics = loop.metrics();
    CHECK(metrics.opened == 2 && metrics.sent_messages == 2 && metrics.turns > 0);
    const std::string text = loop.openmetrics();
    CHECK(text.find("\n# EOF\n") == text.size() - 7 && text.find('\0') == std::string::npos);
    CHECK(server.metrics().opened == 2 && server.openmetrics().size() > 1000);
    THROWS(LINKSPAN_WRONG_THREAD, [&] {
        linkspan_status status = LINKSPAN_OK;
        std::thread([&] {
            try {
                loop.connect("ws://127.0.0.1:1/", Echo());
            } catch (const linkspan::Error &error) {
                status = error.status();
            }
        }).join();
        linkspan::check(status);
    }());
}

static void shutdown_closes_and_returns() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    std::uint16_t code = 0;
    std::string reason;
    linkspan::Handlers handlers;
    handlers.on_open = [&](Connection) { loop.shutdown(std::chrono::seconds(5), 1001, "going"); };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &info) {
        code = info.code;
        reason = info.reason;
    };
    loop.connect(url_of(server), handlers);
    loop.run();
    CHECK(code == 1001 && reason == "going");
}

static void may_be_destroyed_in_a_handler() {
    auto loop = std::make_unique<linkspan::Loop>();
    linkspan::Loop &running = *loop;
    auto server = std::make_unique<linkspan::Server>(serve(running, Echo()));
    int closed = 0;
    linkspan::Handlers handlers;
    handlers.on_open = [&](Connection connection) {
        server.reset();
        loop.reset();
        connection.send_text("never seen");
    };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &info) {
        CHECK(info.code == 1006);
        closed++;
    };
    running.connect(url_of(*server), handlers);
    linkspan_loop *raw = running.raw();
    linkspan::check(linkspan_loop_run(raw));
    CHECK(closed == 1);
}

// A stream that the program has: a socket, and a transport of its own around one.
struct Pipe {
    static std::int64_t answer(ssize_t done) {
        if (done >= 0) return done;
        return errno == EAGAIN ? LINKSPAN_TRANSPORT_AGAIN : LINKSPAN_TRANSPORT_FAILED;
    }
    static linkspan_transport around(int &fd) {
        linkspan_transport transport;
        linkspan_transport_init(&transport);
        transport.user = &fd;
        transport.has_fd = 1;
        transport.fd = fd;
        transport.peer = "a pipe";
        transport.read = [](void *user, void *buffer, std::size_t bytes) {
            return answer(recv(*static_cast<int *>(user), buffer, bytes, MSG_DONTWAIT));
        };
        transport.write = [](void *user, const linkspan_slice *slices, std::size_t) {
            return answer(send(*static_cast<int *>(user), slices[0].data, slices[0].bytes, MSG_DONTWAIT | MSG_NOSIGNAL));
        };
        transport.close = [](void *user) { ::close(std::exchange(*static_cast<int *>(user), -1)); };
        return transport;
    }
};

static void adopts_streams() {
    for (const bool is_transport : {false, true}) {
        linkspan::Loop loop;
        int pair[2];
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        const std::string head = "GET /adopted HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        linkspan::AdoptOptions options;
        options.unread = head.data();
        options.unread_bytes = head.size();
        std::string target, peer;
        linkspan::Handlers handlers;
        handlers.on_open = [&](Connection connection) {
            target = connection.url();
            peer = connection.peer();
            connection.abort();
        };
        bool is_closed = false;
        handlers.on_close = [&](Connection, const linkspan::CloseInfo &) { is_closed = true; };
        if (is_transport)
            loop.adopt(Pipe::around(pair[0]), handlers, options);
        else
            loop.adopt_fd(pair[0], handlers, options);
        turn_until(loop, [&] { return is_closed; });
        CHECK(target == "/adopted" && peer == (is_transport ? "a pipe" : "unix"));
        ::close(pair[1]);
    }
    linkspan::Loop loop;
    THROWS(LINKSPAN_INVALID_ARGUMENT, loop.adopt_fd(-1, Echo()));
}

int main() {
    posts_come_once_and_in_order();
    posts_that_never_ran_run_at_the_end();
    lives_in_a_foreign_loop();
    shutdown_closes_and_returns();
    may_be_destroyed_in_a_handler();
    adopts_streams();
    return 0;
}
