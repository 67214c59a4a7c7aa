// Handlers: every one of them, of a class and as lambdas; those that throw; those that are destroyed in use.
#include "check.hpp"

#include <stdexcept>

using linkspan::Connection;
using linkspan::Kind;

static std::string log_of_all;

// Every handler, as member functions; overloads and templates are found too.
struct All {
    void on_request(Connection, const linkspan::Request &request) { log_of_all += "request" + std::string(request.target()); }
    void on_open(Connection) { log_of_all += " open"; }
    template <class Bytes>
    void on_message(Connection, Kind, Bytes) {
        CHECK(false);
    }
    void on_message_begin(Connection, Kind kind) { log_of_all += kind == Kind::text ? " text:" : " binary:"; }
    void on_message_part(Connection, std::string_view part) { log_of_all += part; }
    void on_message_end(Connection) { log_of_all += "."; }
    void on_ping(Connection connection, std::string_view data) {
        log_of_all += " ping:" + std::string(data);
        connection.pong(data);
    }
    void on_ping(int) {}
    void on_pong(Connection, std::string_view data) { log_of_all += " pong:" + std::string(data); }
    void on_close_requested(Connection connection) {
        log_of_all += " asked";
        connection.close(4002, "yes");
    }
    void on_close(Connection, const linkspan::CloseInfo &info) { log_of_all += " close:" + info.reason; }
};

static void all_are_called() {
    linkspan::Loop loop;
    linkspan::Config config;
    config.parts = config.manual_pong = config.manual_close = 1;
    linkspan::ServerOptions options;
    options.config = &config;
    linkspan::Server server = serve(loop, All(), options);
    std::uint16_t code = 0;
    bool is_told = false;
    linkspan::Handlers client;
    client.on_open = [](Connection connection) {
        connection.send_fragment(Kind::text, "a", false);
        connection.send_fragment(Kind::text, "b", true);
        connection.pong("unasked");
        connection.ping("asked");
    };
    client.on_pong = [](Connection connection, std::string_view data) {
        CHECK(data == "asked");
        connection.close(4001, "bye");
    };
    client.on_close = [&](Connection, const linkspan::CloseInfo &info) { code = info.code; };
    loop.connect(url_of(server, "/all"), client);
    turn_until(loop, [&] { return code && log_of_all.find("close:") != std::string::npos; });
    CHECK(log_of_all == "request/all open text:ab. pong:unasked ping:asked asked close:bye");
    CHECK(code == 4002);

    client.on_error = [&](Connection, const linkspan::Error &error) {
        CHECK(error.status() == LINKSPAN_IO && error.os_error() && *error.what() && !*error.rule());
        is_told = true;
    };
    code = 0;
    const std::string nobody = url_of(server);
    server = serve(loop, Echo());
    loop.connect(nobody, client);
    turn_until(loop, [&] { return code != 0; });
    CHECK(code == 1006 && is_told);
}

static void errors_name_the_rule() {
    linkspan::Loop loop;
    linkspan::Config config;
    config.max_message_bytes = 10;
    linkspan::ServerOptions options;
    options.config = &config;
    std::string rule;
    std::uint16_t code = 0;
    bool is_closed = false;
    linkspan::Handlers serving;
    serving.on_error = [&](Connection, const linkspan::Error &error) {
        const linkspan::Error copy = error;
        CHECK(copy.status() == LINKSPAN_FAULT && *copy.what());
        rule = copy.rule();
        code = copy.close_code();
    };
    linkspan::Server server = serve(loop, serving, options);
    linkspan::Handlers client;
    client.on_open = [](Connection connection) { connection.send_text("more than ten bytes"); };
    client.on_close = [&](Connection, const linkspan::CloseInfo &info) { is_closed = info.code == 1009; };
    loop.connect(url_of(server), client);
    turn_until(loop, [&] { return is_closed; });
    CHECK(rule == "message-too-big" && code == 1009);
}

// Throws where it is told to; what is left over is counted.
struct Thrower {
    void maybe(const char *here) {
        if (where == here) throw std::runtime_error(here);
    }
    void on_request(Connection, const linkspan::Request &) { maybe("request"); }
    void on_open(Connection) { maybe("open"); }
    void on_message(Connection, Kind, std::string_view) { maybe("message"); }
    void on_close(Connection, const linkspan::CloseInfo &) { maybe("close"); }
    void on_exception(Connection connection, std::exception_ptr why) {
        CHECK(connection.ready_state() != linkspan::ReadyState::open);
        try {
            std::rethrow_exception(why);
        } catch (const std::runtime_error &error) {
            *caught += error.what();
        }
        throw 7;
    }
    std::string where;
    std::string *caught;
};

static void throwing_closes_with_1011() {
    const std::pair<const char *, int> cases[] = {{"request", 1006}, {"open", 1011}, {"message", 1011}, {"close", 1000}};
    for (const auto &[where, expected] : cases) {
        linkspan::Loop loop;
        std::string caught;
        linkspan::Server server = serve(loop, Thrower{where, &caught});
        int code = 0;
        linkspan::Handlers client;
        client.on_open = [where = std::string(where)](Connection connection) {
            connection.send_text("hello");
            if (where == "close") connection.close();
        };
        client.on_close = [&](Connection, const linkspan::CloseInfo &info) { code = info.code; };
        loop.connect(url_of(server), client);
        turn_until(loop, [&] { return code && !caught.empty(); });
        CHECK(caught == where && code == expected);
    }
    // Without on_exception too, and for a client.
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    int code = 0;
    linkspan::Handlers client;
    client.on_open = [](Connection) { throw 7; };
    client.on_close = [&](Connection, const linkspan::CloseInfo &info) { code = info.code; };
    loop.connect(url_of(server), client);
    turn_until(loop, [&] { return code != 0; });
    CHECK(code == 1011);
}

// Counts how many of it there are, and can only be moved.
struct Alive {
    explicit Alive(int &number) : number_(&number) { ++*number_; }
    Alive(Alive &&other) noexcept : number_(other.number_) { ++*number_; }
    ~Alive() { --*number_; }
    void on_open(Connection connection) { connection.close(); }
    void on_close(Connection, const linkspan::CloseInfo &) { CHECK(*number_ > 0); }

private:
    int *number_;
};

static void handlers_live_as_long_as_they_are_called() {
    int clients = 0, servers = 0;
    {
        linkspan::Loop loop;
        {
            linkspan::Server server = serve(loop, Alive(servers));
            loop.connect(url_of(server), Alive(clients));
            CHECK(clients == 1);
            turn_until(loop, [&] { return clients == 0; });
            loop.connect(url_of(server), Alive(clients));
        }
        CHECK(clients == 1 && servers == 1);
        THROWS(LINKSPAN_INVALID_ARGUMENT, loop.connect("not a URL", Alive(clients)));
        CHECK(clients == 1);
    }
    CHECK(clients == 0 && servers == 0);
    linkspan::ServerOptions options;
    linkspan::Config config;
    config.size = 1;
    options.config = &config;
    THROWS(LINKSPAN_INVALID_ARGUMENT, linkspan::Server(Alive(servers), options));
    CHECK(servers == 0);
}

static void log_messages_come() {
    static std::string logged;
    static auto log = [](linkspan_log_level level, Connection connection, std::string_view message) {
        CHECK(level <= LINKSPAN_LOG_DEBUG);
        if (connection.id()) logged += message;
        throw 7;
    };
    linkspan::set_log(log, LINKSPAN_LOG_DEBUG);
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Echo());
    bool is_closed = false;
    linkspan::Handlers client;
    client.on_open = [](Connection connection) { connection.close(); };
    client.on_close = [&](Connection, const linkspan::CloseInfo &) { is_closed = true; };
    loop.connect(url_of(server), client);
    turn_until(loop, [&] { return is_closed; });
    CHECK(!logged.empty());
    linkspan::set_log(nullptr);
    logged.clear();
    is_closed = false;
    loop.connect(url_of(server), client);
    turn_until(loop, [&] { return is_closed; });
    CHECK(logged.empty());
}

int main() {
    log_messages_come();
    all_are_called();
    errors_name_the_rule();
    throwing_closes_with_1011();
    handlers_live_as_long_as_they_are_called();
    return 0;
}
