// Connection: a value; what it sends, asks and answers; memory that is given away.
#include "check.hpp"

#include <atomic>
#include <thread>
#include <unordered_set>

using linkspan::Connection;
using linkspan::Kind;
using linkspan::ReadyState;

static std::atomic<int> freed{0};

// Memory whose end is counted: once for each that was not moved from.
struct Counted {
    explicit Counted(std::string text) : bytes(std::move(text)) {}
    Counted(Counted &&other) noexcept : bytes(std::move(other.bytes)), is_owner(std::exchange(other.is_owner, false)) {}
    Counted(const Counted &) = delete;
    ~Counted() { freed += is_owner; }
    const char *data() const { return bytes.data(); }
    std::size_t size() const { return bytes.size(); }
    std::string bytes;
    bool is_owner = true;
};

static void sends_of_every_kind() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    std::string heard, ponged;
    std::size_t messages = 0;
    bool is_open = false;
    linkspan::Handlers handlers;
    handlers.on_open = [&](Connection) { is_open = true; };
    handlers.on_message = [&](Connection connection, Kind kind, std::string_view data) {
        heard += kind == Kind::text ? "t:" : "b:";
        heard += data;
        messages++;
        CHECK(connection.ready_state() == ReadyState::open);
    };
    handlers.on_pong = [&](Connection, std::string_view data) { ponged = data; };
    const Connection connection = loop.connect(url_of(server, "/path?query"), handlers);
    CHECK(connection.ready_state() == ReadyState::connecting);
    THROWS(LINKSPAN_NOT_OPEN, connection.send_text("too early"));
    turn_until(loop, [&] { return is_open; });

    connection.send_text("literal");
    connection.send_text(std::string("string"));
    connection.send_binary(std::vector<unsigned char>{'v', 'e', 'c'});
#if defined(__cpp_lib_span)
    const std::byte bytes[] = {std::byte{'s'}, std::byte{'p'}};
    connection.send_binary(std::span(bytes));
#endif
    connection.send_fragment(Kind::text, "frag", false);
    connection.send_fragment(Kind::text, "ment", true);
    connection.send_owned(Kind::text, std::string("owned"));
    auto array = std::make_unique<char[]>(3);
    std::copy_n("arr", 3, array.get());
    const linkspan::Payload view(array.get(), 3);
    connection.send_owned(Kind::binary, view, std::move(array));
    connection.send_text("");
    connection.ping("p");
    connection.pong();
    THROWS(LINKSPAN_INVALID_UTF8, connection.send_text("\xff"));
#if defined(__cpp_lib_span)
    const std::string span = "b:sp";
    const std::size_t expected = 8;
#else
    const std::string span;
    const std::size_t expected = 7;
#endif
    turn_until(loop, [&] { return messages == expected && !ponged.empty(); });
    CHECK(heard == "t:literalt:stringb:vec" + span + "t:fragmentt:ownedb:arrt:");
    CHECK(ponged == "p");

    CHECK(connection.url() == url_of(server, "/path?query"));
    CHECK(connection.protocol().empty() && connection.extensions().empty());
    CHECK(connection.peer() == "127.0.0.1:" + std::to_string(server.port()));
    CHECK(connection.response_status() == 101);
    CHECK(connection.response_header("upgrade") && !connection.response_header("x-none"));
    CHECK(connection.buffered_amount() == 0);
    int mine = 0;
    CHECK(!connection.user());
    connection.set_user(&mine);
    CHECK(connection.user() == &mine);
}

static void is_a_value() {
    const Connection nobody;
    CHECK(nobody == Connection() && nobody.id() == 0 && !(nobody != Connection()) && !(nobody < Connection()));
    std::unordered_set<Connection> set{nobody, Connection({7}), Connection({7})};
    CHECK(set.size() == 2);
    CHECK(nobody.ready_state() == ReadyState::closed && nobody.buffered_amount() == 0 && !nobody.user());
    THROWS(LINKSPAN_CLOSED, nobody.send_text("x"));
    THROWS(LINKSPAN_CLOSED, nobody.close());
    THROWS(LINKSPAN_CLOSED, nobody.abort());
    THROWS(LINKSPAN_CLOSED, nobody.url());
    THROWS(LINKSPAN_CLOSED, nobody.accept());
    THROWS(LINKSPAN_CLOSED, nobody.reject(404));
}

static void owned_memory_is_freed_once() {
    freed = 0;
    THROWS(LINKSPAN_CLOSED, Connection().send_owned(Kind::text, Counted("nobody's")));
    CHECK(freed == 1);
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    std::size_t echoed = 0;
    int closed = 0;
    linkspan::Handlers handlers;
    handlers.on_open = [](Connection connection) {
        connection.send_owned(Kind::text, Counted(std::string(100000, 'a')));
        THROWS(LINKSPAN_INVALID_UTF8, connection.send_owned(Kind::text, Counted("\xff")));
        CHECK(freed >= 2);
    };
    handlers.on_message = [&](Connection connection, Kind, std::string_view data) {
        echoed += data.size();
        if (echoed == 100000)
            // From another thread, and after the close: one is sent, the other refused.
            std::thread([connection] {
                connection.send_owned(Kind::text, Counted("last"));
                connection.close();
            }).join();
    };
    handlers.on_close = [&](Connection connection, const linkspan::CloseInfo &) {
        closed++;
        THROWS(LINKSPAN_CLOSED, connection.send_owned(Kind::text, Counted("late")));
    };
    loop.connect(url_of(server), handlers);
    turn_until(loop, [&] { return closed == 1; });
    turn_until(loop, [&] { return freed == 5; });
}

static void tells_how_it_ended() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    int ended = 0;
    linkspan::Handlers handlers;
    handlers.on_open = [&](Connection connection) {
        CHECK(!connection.close_info());
        connection.pause();
        connection.resume();
        connection.close(4001, "because");
        THROWS(LINKSPAN_CLOSED, connection.close());
        THROWS(LINKSPAN_CLOSED, connection.send_text("late"));
    };
    handlers.on_close = [&](Connection connection, const linkspan::CloseInfo &info) {
        CHECK(info.code == 4001 && info.clean && !info.begun_by_peer && info.unsent_bytes == 0 && info.rule.empty());
        CHECK(connection.close_info() && connection.close_info()->code == 4001);
        CHECK(connection.ready_state() == ReadyState::closed);
        ended++;
    };
    loop.connect(url_of(server), handlers);
    turn_until(loop, [&] { return ended == 1; });

    handlers.on_open = [](Connection connection) {
        THROWS(LINKSPAN_INVALID_ARGUMENT, connection.close(1005));
        THROWS(LINKSPAN_INVALID_ARGUMENT, connection.close(1000, std::string(124, 'x')));
        connection.abort();
    };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &info) {
        CHECK(info.code == 1006 && !info.clean);
        ended++;
    };
    loop.connect(url_of(server), handlers);
    turn_until(loop, [&] { return ended == 2; });
}

// One connection's events go to an object of its own, which ends with it.
struct Session {
    explicit Session(std::string &log) : log_(log) {}
    void on_open(Connection) { log_ += "open "; }
    void on_message(Connection connection, Kind, std::string_view data) {
        log_ += data;
        connection.close();
    }
    void on_close(Connection, const linkspan::CloseInfo &) {
        log_ += " close";
        delete this;
    }

private:
    ~Session() = default;
    std::string &log_;
};

static void has_handlers_of_its_own() {
    linkspan::Loop loop;
    std::string log;
    linkspan::Handlers serving;
    serving.on_request = [&](Connection connection, const linkspan::Request &) { connection.handle(*new Session(log)); };
    serving.on_message = [](Connection, Kind, std::string_view) { CHECK(false); };
    linkspan::Server server = serve(loop, serving);
    int closed = 0;
    linkspan::Handlers handlers;
    handlers.on_open = [](Connection connection) { connection.send_text("hello"); };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &) { closed++; };
    loop.connect(url_of(server), handlers);
    turn_until(loop, [&] { return closed && log == "open hello close"; });
    Echo echo;
    THROWS(LINKSPAN_CLOSED, Connection().handle(echo));
}

int main() {
    is_a_value();
    sends_of_every_kind();
    owned_memory_is_freed_once();
    tells_how_it_ended();
    has_handlers_of_its_own();
    return 0;
}
