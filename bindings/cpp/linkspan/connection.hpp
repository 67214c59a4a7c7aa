// linkspan/connection.hpp: the name of a connection, and the request that it begins with.
#ifndef LINKSPAN_CONNECTION_HPP
#define LINKSPAN_CONNECTION_HPP

#include <linkspan/values.hpp>

#include <functional>

namespace linkspan {

// The name of a connection: a number, to be copied and kept for ever. Any thread may send, close and answer
// requests with it; what is asked (from url on) is for the loop's thread. After its end, calls throw
// LINKSPAN_CLOSED.
class Connection {
public:
    Connection() noexcept : raw_{0} {}
    explicit Connection(linkspan_connection raw) noexcept : raw_(raw) {}
    linkspan_connection raw() const noexcept { return raw_; }
    std::uint64_t id() const noexcept { return raw_.id; }

    // LINKSPAN_BUFFERED: accepted, hold back until on_drained. LINKSPAN_DROPPED: refused by the policy for slow
    // readers. LINKSPAN_FULL and a text that is not UTF-8 are thrown.
    linkspan_status send_text(Payload text) const { return send(Kind::text, text); }
    linkspan_status send_binary(Payload data) const { return send(Kind::binary, data); }
    linkspan_status send(Kind kind, Payload data) const {
        return check(linkspan_connection_send(raw_, number(kind), data.data(), data.size()));
    }
    // A message piece by piece; `fin` is true with the last.
    linkspan_status send_fragment(Kind kind, Payload data, bool fin) const {
        return check(linkspan_connection_send_fragment(raw_, number(kind), data.data(), data.size(), fin));
    }
    // Sends without copying: moves a string, a vector or the like in, which is destroyed when it has been
    // sent or could not be; exactly once, on any thread.
    template <class Container>
    linkspan_status send_owned(Kind kind, Container data) const {
        auto *owned = new Container(std::move(data));
        return give(kind, Payload(*owned), owned);
    }
    // The same for memory that `owner` keeps alive: a std::unique_ptr<char[]>, a std::shared_ptr.
    template <class Owner>
    linkspan_status send_owned(Kind kind, Payload data, Owner owner) const {
        return give(kind, data, new Owner(std::move(owner)));
    }
    void ping(Payload data = {}) const { check(linkspan_connection_ping(raw_, data.data(), data.size())); }
    void pong(Payload data = {}) const { check(linkspan_connection_pong(raw_, data.data(), data.size())); }
    // A code of 0 sends none.
    void close(std::uint16_t code = 1000, std::string_view reason = {}) const {
        check(linkspan_connection_close(raw_, code, reason.data(), reason.size()));
    }
    void abort() const { check(linkspan_connection_abort(raw_)); }
    void pause() const { check(linkspan_connection_pause(raw_)); }
    void resume() const { check(linkspan_connection_resume(raw_)); }
    // The host's transport has become readable or writable.
    void ready() const { check(linkspan_connection_ready(raw_)); }

    // Topics are names of 1 to 255 bytes. publish is for all subscribers but this connection itself.
    void subscribe(Payload topic) const { check(linkspan_connection_subscribe(raw_, topic.data(), topic.size())); }
    void unsubscribe(Payload topic) const { check(linkspan_connection_unsubscribe(raw_, topic.data(), topic.size())); }
    void publish(Payload topic, Kind kind, Payload data) const {
        check(linkspan_connection_publish(raw_, topic.data(), topic.size(), number(kind), data.data(), data.size()));
    }
    // How many messages were left out because too much waited for it already.
    std::uint64_t dropped() const noexcept { return linkspan_connection_dropped(raw_); }

    // Answers a request, in on_request or later, after defer.
    void accept(const linkspan_accept_options &options = AcceptOptions()) const {
        check(linkspan_request_accept(raw_, &options));
    }
    void reject(std::uint16_t status, Payload body = {}, const Headers &headers = {}) const {
        check(linkspan_request_reject(raw_, status, headers.data(), headers.size(), body.data(), body.size()));
    }
    // Only in on_request: the answer comes later.
    void defer() const { check(linkspan_request_defer(raw_)); }

    ReadyState ready_state() const noexcept { return static_cast<ReadyState>(linkspan_connection_ready_state(raw_)); }
    std::uint64_t buffered_amount() const noexcept { return linkspan_connection_buffered_amount(raw_); }

    std::string url() const { return text(linkspan_connection_url); }
    std::string protocol() const { return text(linkspan_connection_protocol); }
    std::string extensions() const { return text(linkspan_connection_extensions); }
    std::string peer() const { return text(linkspan_connection_peer); }
    // The server's answer to a client: its status (0 before it), a header field, the body of a refusal, which
    // lives until the handler returns.
    std::uint16_t response_status() const noexcept { return linkspan_connection_response_status(raw_); }
    std::optional<std::string> response_header(const std::string &name) const {
        return detail::copied([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return linkspan_connection_response_header(raw_, name.c_str(), buffer, capacity, length);
        });
    }
    // The answer's header field at this place, or nothing past the last; until the handler returns.
    std::optional<std::pair<std::string_view, std::string_view>> response_header_at(std::size_t index) const {
        linkspan_text name, value;
        const linkspan_status status = linkspan_connection_response_header_at(raw_, index, &name, &value);
        if (status == LINKSPAN_NOT_FOUND) return std::nullopt;
        check(status);
        return std::pair(view(name), view(value));
    }
    std::optional<std::string_view> response_body() const { return lent(linkspan_connection_response_body); }
    // The peer's own TLS certificate in DER form, where it showed one, until the handler returns.
    std::optional<std::string_view> peer_certificate() const { return lent(linkspan_connection_peer_certificate); }
    // Nothing while nothing ends. Inside the loop's handlers only.
    std::optional<CloseInfo> close_info() const {
        linkspan_close_info info;
        linkspan_close_info_init(&info);
        const linkspan_status status = linkspan_connection_close_info(raw_, &info);
        if (status == LINKSPAN_NOT_FOUND) return std::nullopt;
        check(status);
        return CloseInfo(info);
    }
    // The application's own pointer.
    void *user() const noexcept { return linkspan_connection_user(raw_); }
    void set_user(void *user) const { check(linkspan_connection_set_user(raw_, user)); }

    // From its next event on, this connection's events go to `handlers` (handlers.hpp), which must live until
    // its on_close has returned; it may be destroyed there.
    template <class H>
    void handle(H &handlers) const;

    friend bool operator==(Connection a, Connection b) noexcept { return a.id() == b.id(); }
    friend bool operator!=(Connection a, Connection b) noexcept { return a.id() != b.id(); }
    friend bool operator<(Connection a, Connection b) noexcept { return a.id() < b.id(); }

private:
    static linkspan_message_kind number(Kind kind) noexcept { return static_cast<linkspan_message_kind>(kind); }

    template <class Owner>
    linkspan_status give(Kind kind, Payload data, Owner *owner) const {
        const linkspan_free_function release = [](void *user, const void *, std::size_t) {
            delete static_cast<Owner *>(user);
        };
        return check(linkspan_connection_send_owned(raw_, number(kind), data.data(), data.size(), release, owner));
    }

    std::string text(linkspan_status (*ask)(linkspan_connection, char *, std::size_t, std::size_t *)) const {
        auto answer = detail::copied([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return ask(raw_, buffer, capacity, length);
        });
        return answer ? *std::move(answer) : std::string();
    }

    std::optional<std::string_view> lent(linkspan_status (*ask)(linkspan_connection, const void **, std::size_t *)) const {
        const void *data = nullptr;
        std::size_t bytes = 0;
        const linkspan_status status = ask(raw_, &data, &bytes);
        if (status == LINKSPAN_NOT_FOUND) return std::nullopt;
        check(status);
        return Payload(data, bytes);
    }

    linkspan_connection raw_;
};

// A client's request, to look at until on_request returns. Its connection answers: accept, reject, defer.
class Request {
public:
    explicit Request(const linkspan_request *raw) noexcept : raw_(raw) {}
    Request(const Request &) = delete;
    Request &operator=(const Request &) = delete;
    const linkspan_request *raw() const noexcept { return raw_; }

    std::string_view method() const noexcept { return view(linkspan_request_method(raw_)); }
    // Path and query.
    std::string_view target() const noexcept { return view(linkspan_request_target(raw_)); }
    // False for plain HTTP, which can only be rejected (with status 200 and a page, for instance).
    bool is_upgrade() const noexcept { return linkspan_request_is_upgrade(raw_); }
    // The first header field of this name, in whatever case.
    std::optional<std::string_view> header(const char *name) const noexcept {
        return present(linkspan_request_header(raw_, name));
    }
    // The header field at this place, or nothing past the last.
    std::optional<std::pair<std::string_view, std::string_view>> header_at(std::size_t index) const {
        linkspan_text name, value;
        const linkspan_status status = linkspan_request_header_at(raw_, index, &name, &value);
        if (status == LINKSPAN_NOT_FOUND) return std::nullopt;
        check(status);
        return std::pair(view(name), view(value));
    }
    // The subprotocol at this place that the client offers, or nothing past the last.
    std::optional<std::string_view> protocol_at(std::size_t index) const noexcept {
        return present(linkspan_request_protocol_at(raw_, index));
    }

private:
    static std::optional<std::string_view> present(linkspan_text text) noexcept {
        if (!text.data) return std::nullopt;
        return std::string_view(text.data, text.bytes);
    }

    const linkspan_request *raw_;
};

// A question of on_resolve's: a number, to be answered once, there or later, on any thread.
class Resolution {
public:
    explicit Resolution(linkspan_resolution raw) noexcept : raw_(raw) {}
    linkspan_resolution raw() const noexcept { return raw_; }
    // Addresses, best first: "192.0.2.1", "2001:db8::1".
    void answer(const std::vector<std::string> &addresses) const {
        std::vector<const char *> texts;
        for (const std::string &address : addresses) texts.push_back(address.c_str());
        check(linkspan_resolution_answer(raw_, texts.data(), texts.size()));
    }
    // The host cannot be found: a few words why.
    void fail(const std::string &why) const { check(linkspan_resolution_fail(raw_, why.c_str())); }

private:
    linkspan_resolution raw_;
};

} // namespace linkspan

template <>
struct std::hash<linkspan::Connection> {
    std::size_t operator()(linkspan::Connection connection) const noexcept {
        return std::hash<std::uint64_t>()(connection.id());
    }
};

#endif
