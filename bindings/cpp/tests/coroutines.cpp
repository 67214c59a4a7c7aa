// Coroutines: sessions of a client and a server, one that fails, one that ends early, backpressure, other threads.
#include "check.hpp"

#include <linkspan_coroutines.hpp>

#if defined(__cpp_impl_coroutine)

#include <thread>

using linkspan::Connection;
using linkspan::Kind;
using linkspan::Session;
using linkspan::Task;

static Task echo(Session session) {
    while (const auto message = co_await session.next()) session.connection().send(message->kind, message->data);
}

struct Echoing {
    void on_open(Connection connection) { echo(Session(connection)); }
};

static Task talk(linkspan::Loop &loop, std::string url, std::string &log) {
    Session session = co_await Session::connect(loop, url);
    log += "open";
    for (const char *text : {"one", "two", "three"}) session.connection().send_text(text);
    for (int i = 0; i < 3; i++) {
        const auto message = co_await session.next();
        if (!message) co_return;
        log += ' ' + message->data;
    }
    Session moved = std::move(session);
    moved.connection().close(4000);
    CHECK(!co_await moved.next() && !co_await moved.next());
    log += ' ';
    log += std::to_string(moved.close_info()->code);
    loop.stop();
}

static Task fail(linkspan::Loop &loop, std::string url, linkspan_status &status) {
    try {
        Session session = co_await Session::connect(loop, url);
        CHECK(false);
    } catch (const linkspan::Error &error) {
        status = error.status();
    }
}

// Ends while the peer still talks.
static Task leave(linkspan::Loop &loop, std::string url) {
    Session session = co_await Session::connect(loop, url);
    session.connection().send_text("one");
    session.connection().send_text("two");
    CHECK((co_await session.next())->data == "one");
}

static Task from_elsewhere(linkspan::Loop &loop, std::thread::id home, bool &is_home) {
    CHECK(std::this_thread::get_id() != home);
    co_await linkspan::resume_on(loop);
    is_home = std::this_thread::get_id() == home;
    loop.stop();
}

// Takes one message, and the next only when it is told to.
struct Slow {
    static Task take(Session session, int &taken, std::coroutine_handle<> &gate) {
        struct Gate {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> waiting) const noexcept { gate = waiting; }
            void await_resume() const noexcept {}
            std::coroutine_handle<> &gate;
        };
        while (co_await session.next()) {
            taken++;
            co_await Gate{gate};
        }
    }
    void on_open(Connection connection) { take(Session(connection), *taken, *gate); }
    int *taken;
    std::coroutine_handle<> *gate;
};

static void a_fast_peer_waits() {
    linkspan::Loop loop;
    int taken = 0;
    std::coroutine_handle<> gate;
    linkspan::Server server = serve(loop, Slow{&taken, &gate});
    linkspan::Handlers handlers;
    bool is_open = false;
    handlers.on_open = [&](Connection) { is_open = true; };
    linkspan::Config config;
    config.max_outbox_bytes = std::uint64_t{1} << 30;
    linkspan::ClientOptions options;
    options.config = &config;
    const Connection fast = loop.connect(url_of(server), handlers, options);
    turn_until(loop, [&] { return is_open; });
    const std::string large(1 << 20, 'a');
    for (int i = 0; i < 24; i++) fast.send_text(large);
    turn_until(loop, [&] { return taken == 1; });
    for (int turns = 0; turns < 50; turns++) loop.run_once(std::chrono::milliseconds(1));
    // Most of it still waits on the sending side.
    CHECK(fast.buffered_amount() > 8u << 20);
    // Everything comes, once it is asked for.
    while (taken < 24) {
        const int before = taken;
        std::exchange(gate, nullptr).resume();
        turn_until(loop, [&] { return taken > before; });
    }
    fast.close();
    std::exchange(gate, nullptr).resume();
    turn_until(loop, [&] { return fast.ready_state() == linkspan::ReadyState::closed; });
}

int main() {
    {
        linkspan::Loop loop;
        linkspan::Server server = serve(loop, Echoing());
        std::string log;
        talk(loop, url_of(server), log);
        loop.run();
        CHECK(log == "open one two three 4000");
    }
    {
        linkspan::Loop loop;
        linkspan_status status = LINKSPAN_OK;
        fail(loop, "ws://127.0.0.1:1/", status);
        turn_until(loop, [&] { return status == LINKSPAN_IO; });
        status = LINKSPAN_OK;
        fail(loop, "not a URL", status);
        CHECK(status == LINKSPAN_INVALID_ARGUMENT);
        // The loop ends while it connects, and while it waits for a message.
        status = LINKSPAN_OK;
        auto ending = std::make_unique<linkspan::Loop>();
        linkspan::Server server = serve(*ending, Echo());
        std::string log;
        talk(*ending, url_of(server), log);
        turn_until(*ending, [&] { return !log.empty(); });
        fail(*ending, url_of(server), status);
        ending.reset();
        CHECK(status == LINKSPAN_CLOSED);
    }
    {
        linkspan::Loop loop;
        std::uint16_t code = 0;
        linkspan::Handlers serving;
        serving.on_message = [](Connection connection, Kind kind, std::string_view data) { connection.send(kind, data); };
        serving.on_close = [&](Connection, const linkspan::CloseInfo &info) { code = info.code; };
        linkspan::Server server = serve(loop, serving);
        leave(loop, url_of(server));
        turn_until(loop, [&] { return code != 0; });
        CHECK(code == 1000);
    }
    {
        linkspan::Loop loop;
        bool is_home = false;
        std::thread elsewhere([&, home = std::this_thread::get_id()] { from_elsewhere(loop, home, is_home); });
        loop.run();
        elsewhere.join();
        CHECK(is_home);
    }
    a_fast_peer_waits();
    return 0;
}

#else

int main() { return 0; }

#endif
