// linkspan.hpp: WebSocket for C++17, over linkspan.h.
//
// Owners (Loop, Server, Tls) move and do not copy; a Connection is a value, to be copied and kept on any
// thread. What fails throws linkspan::Error. An exception that leaves a handler closes that connection with
// 1011 and goes no further: it never reaches C.
//
//     linkspan::Handlers handlers;
//     handlers.on_message = [](linkspan::Connection connection, linkspan::Kind kind, std::string_view data) {
//         connection.send(kind, data);
//     };
//     linkspan::Server server(handlers);
//     server.listen("127.0.0.1", 9001);
//     server.start();
#ifndef LINKSPAN_HPP
#define LINKSPAN_HPP

#include <linkspan.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace linkspan {

// What a call has come to when it failed: a sentence, and its status.
class Error : public std::runtime_error {
public:
    explicit Error(linkspan_status status) : std::runtime_error(linkspan_last_error()), status_(status) {}
    linkspan_status status() const noexcept { return status_; }

private:
    linkspan_status status_;
};

// Throws when it is an error; else gives the note, if there is one (LINKSPAN_BUFFERED).
inline linkspan_status check(linkspan_status status) {
    if (status < 0) throw Error(status);
    return status;
}

enum class Kind : linkspan_message_kind { text = LINKSPAN_TEXT, binary = LINKSPAN_BINARY };

enum class ReadyState : linkspan_ready_state {
    connecting = LINKSPAN_STATE_CONNECTING,
    open = LINKSPAN_STATE_OPEN,
    closing = LINKSPAN_STATE_CLOSING,
    closed = LINKSPAN_STATE_CLOSED
};

// A text of the library's, for as long as it lives.
inline std::string_view view(linkspan_text text) noexcept {
    return text.bytes ? std::string_view(text.data, text.bytes) : std::string_view();
}

// The name of a connection. Any thread may use it; after the end its calls throw LINKSPAN_CLOSED.
class Connection {
public:
    Connection() noexcept : raw_{0} {}
    explicit Connection(linkspan_connection raw) noexcept : raw_(raw) {}
    linkspan_connection raw() const noexcept { return raw_; }
    std::uint64_t id() const noexcept { return raw_.id; }

    linkspan_status send_text(std::string_view text) const { return send(Kind::text, text); }
    linkspan_status send_binary(std::string_view bytes) const { return send(Kind::binary, bytes); }
    linkspan_status send(Kind kind, std::string_view data) const {
        return check(linkspan_connection_send(raw_, static_cast<linkspan_message_kind>(kind), data.data(), data.size()));
    }
    void ping(std::string_view data = {}) const { check(linkspan_connection_ping(raw_, data.data(), data.size())); }
    void close(std::uint16_t code = 1000, std::string_view reason = {}) const {
        check(linkspan_connection_close(raw_, code, reason.data(), reason.size()));
    }
    void abort() const { check(linkspan_connection_abort(raw_)); }
    void pause() const { check(linkspan_connection_pause(raw_)); }
    void resume() const { check(linkspan_connection_resume(raw_)); }

    ReadyState ready_state() const noexcept { return static_cast<ReadyState>(linkspan_connection_ready_state(raw_)); }
    std::uint64_t buffered_amount() const noexcept { return linkspan_connection_buffered_amount(raw_); }
    std::string url() const { return text(linkspan_connection_url); }
    std::string protocol() const { return text(linkspan_connection_protocol); }
    std::string extensions() const { return text(linkspan_connection_extensions); }
    std::string peer() const { return text(linkspan_connection_peer); }

    friend bool operator==(Connection a, Connection b) noexcept { return a.id() == b.id(); }
    friend bool operator!=(Connection a, Connection b) noexcept { return a.id() != b.id(); }

private:
    std::string text(linkspan_status (*ask)(linkspan_connection, char *, std::size_t, std::size_t *)) const {
        std::size_t length = 0;
        check(ask(raw_, nullptr, 0, &length));
        std::string answer(length + 1, '\0');
        check(ask(raw_, &answer[0], answer.size(), nullptr));
        answer.resize(length);
        return answer;
    }

    linkspan_connection raw_;
};

// What the application wants to be told; see linkspan_callbacks. Those that are empty are not called.
struct Handlers {
    std::function<void(Connection, const linkspan_request *)> on_request;
    std::function<void(Connection)> on_open;
    std::function<void(Connection, Kind, std::string_view)> on_message;
    std::function<void(Connection)> on_drained;
    std::function<void(Connection, const linkspan_error &)> on_error;
    std::function<void(Connection, const linkspan_close_info &)> on_close;
};

namespace detail {

// Runs a handler; what it throws ends here, and ends the connection.
template <class Handler, class... Arguments>
void call(const Handler &handler, linkspan_connection connection, Arguments &&...arguments) noexcept {
    if (!handler) return;
    try {
        handler(Connection(connection), std::forward<Arguments>(arguments)...);
    } catch (...) {
        if (linkspan_connection_close(connection, 1011, nullptr, 0) < 0) linkspan_connection_abort(connection);
    }
}

inline const Handlers &handlers(void *user) noexcept { return *static_cast<const Handlers *>(user); }

inline linkspan_callbacks table() noexcept {
    linkspan_callbacks table;
    linkspan_callbacks_init(&table);
    table.on_request = [](void *user, linkspan_connection c, const linkspan_request *request) {
        call(handlers(user).on_request, c, request);
    };
    table.on_open = [](void *user, linkspan_connection c) { call(handlers(user).on_open, c); };
    table.on_message = [](void *user, linkspan_connection c, linkspan_message_kind kind, const void *data,
                          std::size_t bytes) {
        call(handlers(user).on_message, c, static_cast<Kind>(kind),
             std::string_view(static_cast<const char *>(data), bytes));
    };
    table.on_drained = [](void *user, linkspan_connection c) { call(handlers(user).on_drained, c); };
    table.on_error = [](void *user, linkspan_connection c, const linkspan_error *error) {
        call(handlers(user).on_error, c, *error);
    };
    table.on_close = [](void *user, linkspan_connection c, const linkspan_close_info *info) {
        call(handlers(user).on_close, c, *info);
    };
    return table;
}

template <class Raw, void (*free)(Raw *)>
struct Free {
    void operator()(Raw *raw) const noexcept { free(raw); }
};

template <class Raw, void (*free)(Raw *)>
using Owner = std::unique_ptr<Raw, Free<Raw, free>>;

} // namespace detail

// Certificates and trust.
class Tls {
public:
    static Tls server(const std::string &certificate_file, const std::string &key_file) {
        linkspan_tls *raw = nullptr;
        check(linkspan_tls_server_new(certificate_file.c_str(), key_file.c_str(), &raw));
        return Tls(raw);
    }
    static Tls client() {
        linkspan_tls *raw = nullptr;
        check(linkspan_tls_client_new(&raw));
        return Tls(raw);
    }
    static Tls client(const std::string &ca_file) {
        Tls tls = client();
        check(linkspan_tls_client_ca(tls.raw(), ca_file.c_str()));
        return tls;
    }
    linkspan_tls *raw() const noexcept { return raw_.get(); }

private:
    explicit Tls(linkspan_tls *raw) noexcept : raw_(raw) {}
    detail::Owner<linkspan_tls, linkspan_tls_free> raw_;
};

// Connections on one thread: the one that calls run.
class Loop {
public:
    Loop() {
        linkspan_loop *raw = nullptr;
        check(linkspan_loop_new(&raw));
        raw_.reset(raw);
    }
    void run() { check(linkspan_loop_run(raw())); }
    void run_once(std::chrono::milliseconds timeout) { check(linkspan_loop_run_once(raw(), timeout.count())); }
    void stop() { check(linkspan_loop_stop(raw())); }
    int fd() const noexcept { return linkspan_loop_fd(raw()); }
    std::int64_t next_timeout() const noexcept { return linkspan_loop_next_timeout(raw()); }

    // Opens a connection. The handlers are copied, and live until it has closed.
    Connection connect(const std::string &url, Handlers handlers, const Tls *tls = nullptr,
                       const linkspan_config *config = nullptr) {
        auto owned = std::make_unique<Handlers>(std::move(handlers));
        linkspan_callbacks table = detail::table();
        // on_close comes exactly once and last: the handlers go with it.
        table.on_close = [](void *user, linkspan_connection c, const linkspan_close_info *info) {
            std::unique_ptr<Handlers> last(static_cast<Handlers *>(user));
            detail::call(last->on_close, c, *info);
        };
        linkspan_client_options options;
        linkspan_client_options_init(&options);
        options.url = url.c_str();
        options.config = config;
        options.tls = tls ? tls->raw() : nullptr;
        options.callbacks = &table;
        options.user = owned.get();
        linkspan_connection connection = {0};
        check(linkspan_connect(raw(), &options, &connection));
        owned.release();
        return Connection(connection);
    }
    linkspan_loop *raw() const noexcept { return raw_.get(); }

private:
    detail::Owner<linkspan_loop, linkspan_loop_free> raw_;
};

// A server on threads of its own, or in a loop.
class Server {
public:
    explicit Server(Handlers handlers, linkspan_server_options options = defaults())
        : handlers_(std::make_unique<Handlers>(std::move(handlers))) {
        linkspan_callbacks table = detail::table();
        options.callbacks = &table;
        options.user = handlers_.get();
        linkspan_server *raw = nullptr;
        check(linkspan_server_new(&options, &raw));
        raw_.reset(raw);
    }
    static linkspan_server_options defaults() noexcept {
        linkspan_server_options options;
        linkspan_server_options_init(&options);
        return options;
    }
    void listen(const std::string &host, std::uint16_t port) {
        check(linkspan_server_listen(raw(), host.c_str(), port));
    }
    void listen_unix(const std::string &path) { check(linkspan_server_listen_unix(raw(), path.c_str())); }
    std::uint16_t port() const noexcept { return linkspan_server_port(raw()); }
    void start() { check(linkspan_server_start(raw())); }
    void drain(std::chrono::milliseconds deadline, std::uint16_t code = 1001, std::string_view reason = {}) {
        check(linkspan_server_drain(raw(), code, reason.data(), reason.size(),
                                    static_cast<std::uint64_t>(deadline.count())));
    }
    void wait() { check(linkspan_server_wait(raw())); }
    void stop() { check(linkspan_server_stop(raw())); }
    linkspan_server *raw() const noexcept { return raw_.get(); }

private:
    // Before the server, so that they go after it. In a loop of yours, keep the Server as long as the loop.
    std::unique_ptr<Handlers> handlers_;
    detail::Owner<linkspan_server, linkspan_server_free> raw_;
};

} // namespace linkspan

#endif
