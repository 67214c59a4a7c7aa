// Server: on threads of its own, by port, path and descriptor; draining; requests; moving; destroyed in a handler.
#include "check.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using linkspan::Connection;
using linkspan::Kind;

// A client on this thread that says hello and gives the code that the connection ended with.
static int hello(const std::string &url, std::string *heard, std::string *reason = nullptr) {
    linkspan::Loop loop;
    int code = 0;
    linkspan::Handlers handlers;
    handlers.on_open = [](Connection connection) { connection.send_text("hello"); };
    handlers.on_message = [&](Connection connection, Kind, std::string_view data) {
        if (heard) *heard = data;
        if (!reason) connection.close();
    };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &info) {
        code = info.code;
        if (reason) *reason = info.reason;
        loop.stop();
    };
    loop.connect(url, handlers);
    loop.run();
    return code;
}

static void serves_on_threads_and_moves() {
    linkspan::ServerOptions options;
    options.loops = 2;
    linkspan::Server made(Echo(), options);
    THROWS(LINKSPAN_WRONG_STATE, made.start());
    made.listen("127.0.0.1", 0);
    linkspan::Server server = std::move(made);
    CHECK(!made.raw() && server.port() && made.port() == 0);
    THROWS(LINKSPAN_INVALID_ARGUMENT, made.start());
    THROWS(LINKSPAN_WRONG_STATE, server.pause());
    THROWS(LINKSPAN_IO, server.listen_systemd());
    THROWS(LINKSPAN_IO, server.listen_systemd("chat.socket"));
    server.listen("127.0.0.1", 0);
    CHECK(server.port_at(0) == server.port() && server.port_at(1) && server.port_at(1) != server.port());
    CHECK(server.port_at(2) == 0);
    server.start();
    THROWS(LINKSPAN_WRONG_STATE, server.listen("127.0.0.1", 0));
    server.pause();
    server.resume();
    std::string heard;
    CHECK(hello(url_of(server), &heard) == 1000 && heard == "hello");
    server.stop();
    server.wait();
}

struct Drained {
    void on_message(Connection connection, Kind kind, linkspan::Payload data) {
        connection.send(kind, data);
        server->drain(std::chrono::seconds(5), 1012, "again soon");
    }
    linkspan::Server *server;
};

static void drains_with_code_and_reason() {
    auto place = std::make_unique<linkspan::Server *>(nullptr);
    struct Later {
        void on_message(Connection connection, Kind kind, linkspan::Payload data) {
            Drained{*server}.on_message(connection, kind, data);
        }
        linkspan::Server **server;
    };
    linkspan::Server server(Later{place.get()});
    *place = &server;
    server.listen("127.0.0.1", 0);
    server.start();
    std::string heard, reason;
    CHECK(hello(url_of(server), &heard, &reason) == 1012 && heard == "hello" && reason == "again soon");
    server.wait();
}

static void listens_on_what_it_is_given() {
    linkspan::Server taken{Echo()}, unix_socket{Echo()}, inherited{Echo()}, second{Echo()};
    taken.listen("127.0.0.1", 0);
    THROWS(LINKSPAN_IO, second.listen("127.0.0.1", taken.port()));
    const std::string path = "/tmp/linkspan-cpp-" + std::to_string(getpid());
    unix_socket.listen_unix(path);
    unix_socket.start();
    std::string heard;
    CHECK(hello("ws+unix://" + path + ":/", &heard) == 1000 && heard == "hello");
    ::unlink(path.c_str());

    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0 && ::listen(fd, 8) == 0);
    inherited.listen_fd(fd);
    inherited.start();
    heard.clear();
    CHECK(hello(url_of(inherited), &heard) == 1000 && heard == "hello");
    THROWS(LINKSPAN_INVALID_ARGUMENT, second.listen_fd(-1));
}

// Answers by what is asked for.
struct Gate {
    void on_request(Connection connection, const linkspan::Request &request) {
        CHECK(request.method() == "GET" && request.is_upgrade() && request.raw());
        CHECK(request.header("HOST") && !request.header("x-none"));
        CHECK(request.protocol_at(0) == "one" && request.protocol_at(1) == "two" && !request.protocol_at(2));
        std::size_t fields = 0;
        while (request.header_at(fields)) fields++;
        CHECK(fields >= 5);
        if (request.target() == "/deferred") {
            connection.defer();
            later = std::thread([connection] {
                linkspan::AcceptOptions options;
                const linkspan_header cookie = {"Set-Cookie", "a=b"};
                options.protocol = "two";
                options.headers = &cookie;
                options.header_count = 1;
                connection.accept(options);
            });
        } else {
            connection.reject(403, "no entry\n", {{"X-Why", "because"}});
        }
    }
    ~Gate() {
        if (later.joinable()) later.join();
    }
    Gate() = default;
    Gate(Gate &&) = default;
    std::thread later;
};

static void requests_are_answered() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Gate());
    linkspan::Config config;
    config.subprotocols = "one, two";
    linkspan::ClientOptions options;
    options.config = &config;
    int ended = 0;
    linkspan::Handlers handlers;
    handlers.on_open = [](Connection connection) {
        CHECK(connection.protocol() == "two" && connection.response_header("set-cookie") == "a=b");
        CHECK(connection.response_status() == 101 && !connection.response_body());
        std::size_t cookies = 0, fields = 0;
        for (; auto field = connection.response_header_at(fields); fields++) {
            cookies += (field->first == "set-cookie" || field->first == "Set-Cookie") && field->second == "a=b";
        }
        CHECK(cookies == 1 && fields > 3);
        connection.close();
    };
    handlers.on_error = [&](Connection connection, const linkspan::Error &error) {
        CHECK(error.http_status() == 403 && connection.response_status() == 403);
        CHECK(connection.response_header("x-why") == "because" && connection.response_body() == "no entry\n");
        ended += 10;
    };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &) { ended++; };
    loop.connect(url_of(server, "/deferred"), handlers, options);
    turn_until(loop, [&] { return ended == 1; });
    loop.connect(url_of(server, "/forbidden"), handlers, options);
    turn_until(loop, [&] { return ended == 12; });
}

// Destroys its own server in a handler, and goes on using itself.
struct Ending {
    struct Shared {
        std::unique_ptr<linkspan::Server> server;
        std::mutex lock;
        std::condition_variable changed;
        bool is_destroyed = false;
    };
    explicit Ending(Shared *with) : shared(with) {}
    Ending(Ending &&other) noexcept : shared(std::exchange(other.shared, nullptr)) {}
    ~Ending() {
        if (!shared) return;
        const std::lock_guard<std::mutex> guard(shared->lock);
        shared->is_destroyed = true;
        shared->changed.notify_one();
    }
    void on_message(Connection connection, Kind kind, linkspan::Payload data) {
        shared->server.reset();
        message = std::string(std::string_view(data));
        CHECK(!shared->is_destroyed && message == "hello");
        static_cast<void>(connection.send(kind, message));
    }
    Shared *shared;
    std::string message;
};

static void may_be_destroyed_in_a_handler() {
    Ending::Shared shared;
    shared.server = std::make_unique<linkspan::Server>(Ending(&shared));
    shared.server->listen("127.0.0.1", 0);
    shared.server->start();
    const std::string url = url_of(*shared.server);
    std::string reason;
    CHECK(hello(url, nullptr, &reason) == 1006);
    std::unique_lock<std::mutex> guard(shared.lock);
    shared.changed.wait(guard, [&] { return shared.is_destroyed; });
}

int main() {
    serves_on_threads_and_moves();
    drains_with_code_and_reason();
    listens_on_what_it_is_given();
    requests_are_answered();
    may_be_destroyed_in_a_handler();
    return 0;
}
