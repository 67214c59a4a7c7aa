// linkspan_websocket.hpp: the browser's WebSocket, over linkspan.hpp.
//
//     #include <linkspan_websocket.hpp>
//
//     #include <iostream>
//
//     int main() {
//         linkspan::Loop loop;
//         linkspan::WebSocket socket(loop, "ws://localhost:9001/chat", {"chat.v2", "chat"});
//         socket.onopen = [&] { socket.send("hello"); };
//         socket.onmessage = [&](const linkspan::MessageEvent &event) {
//             std::cout << event.data << '\n';
//             socket.close(1000, "heard enough");
//         };
//         socket.onerror = [](const linkspan::ErrorEvent &event) { std::cerr << event.message << '\n'; };
//         socket.onclose = [&](const linkspan::CloseEvent &) { loop.stop(); };
//         loop.run();
//     }
//
// Names and rules are those of the WebSockets Standard (https://websockets.spec.whatwg.org). What differs:
//
// - A WebSocket belongs to its loop's thread, as a page's belongs to the page's: inside the loop's handlers or
//   between its turns. From other threads, use Loop::post.
// - A handler is anything that can be called with its event, or with nothing. It may be replaced, and the
//   WebSocket destroyed, inside itself.
// - An exception that leaves a handler closes the connection with 1011, and onerror is told of it.
// - Text that is not UTF-8 is not mended: sending it throws.
// - With reconnect_delay in the options, a loss is followed by onopen again, and not by onclose, until there is none.
// - Destroyed, it closes with 1001 as a page that is left does, and no handler runs any more.
#ifndef LINKSPAN_WEBSOCKET_HPP
#define LINKSPAN_WEBSOCKET_HPP

#include <linkspan.hpp>

#include <algorithm>

namespace linkspan {

// What a WebSocket's calls throw beside Error, by the browser's name: "SyntaxError" (URL, subprotocols, the reason
// of a close), "InvalidAccessError" (the code of a close), "InvalidStateError" (sending while it connects).
class DomException : public Error {
public:
    DomException(const char *name, linkspan_status status, const std::string &sentence)
        : Error(status, sentence), name_(name) {}
    const char *name() const noexcept { return name_; }

private:
    const char *name_;
};

// What a binary message is to onmessage. blob: MessageEvent::blob holds a copy that may be kept, as a Blob may.
// arraybuffer: there is no copy, only MessageEvent::data, which lives until the handler returns.
enum class BinaryType { blob, arraybuffer };

struct Event {
    const char *type;
};

struct MessageEvent : Event {
    // The message, text or binary, until the handler returns.
    std::string_view data;
    Kind kind;
    // A binary message while binaryType is blob; else null.
    std::shared_ptr<const std::string> blob;
    // Of the URL: scheme, host and port.
    std::string_view origin;
};

struct ErrorEvent : Event {
    // One sentence that a person can act on.
    std::string message;
};

struct CloseEvent : Event {
    // The peer's code; 1005 when its close frame had none, 1006 when none came.
    std::uint16_t code;
    std::string reason;
    bool wasClean;
};

// The subprotocols that are offered: none, one, or a list, best first.
class Protocols {
public:
    Protocols() = default;
    Protocols(const char *one) : names_{one} {}
    Protocols(std::string one) : names_{std::move(one)} {}
    Protocols(std::initializer_list<const char *> names) : names_(names.begin(), names.end()) {}
    Protocols(std::vector<std::string> names) : names_(std::move(names)) {}
    const std::vector<std::string> &names() const noexcept { return names_; }

private:
    std::vector<std::string> names_;
};

// An event's handler: assign anything that can be called with the event or with nothing, or nullptr.
template <class E>
class EventHandler {
public:
    EventHandler() = default;
    EventHandler(const EventHandler &) = delete;
    EventHandler &operator=(const EventHandler &) = delete;
    EventHandler &operator=(std::nullptr_t) noexcept {
        callable_.reset();
        return *this;
    }
    template <class F>
    EventHandler &operator=(F handler) {
        callable_ = std::make_shared<F>(std::move(handler));
        call_ = [](void *callable, const E &event) {
            if constexpr (std::is_invocable_v<F &, const E &>)
                (*static_cast<F *>(callable))(event);
            else
                (*static_cast<F *>(callable))();
        };
        return *this;
    }
    explicit operator bool() const noexcept { return callable_ != nullptr; }
    // Calls it, also when it is replaced or destroyed meanwhile.
    void operator()(const E &event) const {
        const std::shared_ptr<void> callable = callable_;
        if (callable) call_(callable.get(), event);
    }

private:
    std::shared_ptr<void> callable_;
    void (*call_)(void *callable, const E &event) = nullptr;
};

class WebSocket {
public:
    static constexpr unsigned short CONNECTING = LINKSPAN_STATE_CONNECTING;
    static constexpr unsigned short OPEN = LINKSPAN_STATE_OPEN;
    static constexpr unsigned short CLOSING = LINKSPAN_STATE_CLOSING;
    static constexpr unsigned short CLOSED = LINKSPAN_STATE_CLOSED;

    // Connects. Without a config in the options, permessage-deflate is offered, as browsers do; of the options,
    // url, callbacks and user are set here, and so are the config's subprotocols when there are any.
    WebSocket(Loop &loop, const std::string &url, const Protocols &protocols = {},
              linkspan_client_options options = ClientOptions())
        : state_(std::make_shared<State>()) {
        const std::string offered = join(protocols.names());
        linkspan_config config = options.config ? *options.config : Config();
        if (!options.config) config.deflate = linkspan_has(LINKSPAN_FEATURE_DEFLATE);
        if (!offered.empty()) config.subprotocols = offered.c_str();
        options.config = &config;
        try {
            state_->connection = loop.connect(url, Link{state_}, options);
        } catch (const Error &error) {
            if (error.status() != LINKSPAN_INVALID_ARGUMENT) throw;
            throw DomException("SyntaxError", error.status(), error.what());
        }
        state_->url = state_->connection.url();
        const std::size_t authority = state_->url.find("//") + 2;
        state_->origin = state_->url.substr(0, state_->url.find('/', authority));
        state_->socket = this;
    }
    WebSocket(const WebSocket &) = delete;
    WebSocket &operator=(const WebSocket &) = delete;
    ~WebSocket() {
        state_->socket = nullptr;
        if (state_->ready_state < CLOSING) state_->fail(1001, {});
    }

    // May be assigned at any time.
    EventHandler<Event> onopen;
    EventHandler<MessageEvent> onmessage;
    EventHandler<ErrorEvent> onerror;
    EventHandler<CloseEvent> onclose;
    BinaryType binaryType = BinaryType::blob;

    unsigned short readyState() const noexcept { return state_->ready(); }
    // Bytes given to send that have not left; those that never will stay counted.
    std::uint64_t bufferedAmount() const noexcept {
        return state_->unsent + (state_->ready_state == CLOSED ? 0 : state_->connection.buffered_amount());
    }
    const std::string &url() const noexcept { return state_->url; }
    // What was agreed; empty before.
    const std::string &protocol() const noexcept { return state_->protocol; }
    const std::string &extensions() const noexcept { return state_->extensions; }
    // The name of the connection, for what a browser's class has not: its peer, a ping.
    Connection connection() const noexcept { return state_->connection; }

    // Text: a literal, a string, a string_view. Binary: a span or a vector of std::byte or unsigned char, or
    // any memory. While it closes and afterwards it only counts in bufferedAmount.
    void send(std::string_view text) { send(Kind::text, text); }
    void send(const void *data, std::size_t bytes) { send(Kind::binary, Payload(data, bytes)); }
    template <class Bytes, class = detail::if_bytes<Bytes>,
              class = std::enable_if_t<!std::is_convertible_v<const Bytes &, std::string_view>>>
    void send(const Bytes &bytes) {
        send(Kind::binary, Payload(bytes));
    }
    // Of the kind that a MessageEvent has.
    void send(Kind kind, Payload data) {
        const unsigned short now = readyState();
        if (now == CONNECTING)
            throw DomException("InvalidStateError", LINKSPAN_NOT_OPEN, "the WebSocket still connects: send in onopen");
        linkspan_status status = LINKSPAN_CLOSED;
        if (now == OPEN)
            status = linkspan_connection_send(state_->connection.raw(), static_cast<linkspan_message_kind>(kind),
                                              data.data(), data.size());
        if (status == LINKSPAN_OK || status == LINKSPAN_BUFFERED) return;
        if (status < 0 && status != LINKSPAN_CLOSED && status != LINKSPAN_FULL) detail::fail(status);
        // The standard: what can not be buffered ends the connection, and counts.
        state_->unsent += data.size();
        if (status == LINKSPAN_FULL) {
            state_->error = linkspan_last_error();
            state_->ready_state = CLOSING;
            linkspan_connection_abort(state_->connection.raw());
        }
    }

    // Without a code, the close frame has none.
    void close() { close_with(0, {}); }
    void close(std::uint16_t code, std::string_view reason = {}) {
        if (code != 1000 && (code < 3000 || code > 4999))
            throw DomException("InvalidAccessError", LINKSPAN_INVALID_ARGUMENT,
                               "a close code is 1000 or 3000 to 4999, not " + std::to_string(code));
        if (reason.size() > 123)
            throw DomException("SyntaxError", LINKSPAN_INVALID_ARGUMENT,
                               "the reason of a close has at most 123 bytes, not " + std::to_string(reason.size()));
        close_with(code, reason);
    }

private:
    struct State {
        // Null once it was destroyed.
        WebSocket *socket = nullptr;
        Connection connection;
        unsigned short ready_state = CONNECTING;
        std::string url, origin, protocol, extensions;
        // Bytes that were given to send and will not leave.
        std::uint64_t unsent = 0;
        // Why the connection was failed; onerror is told before onclose.
        std::optional<std::string> error;

        unsigned short ready() const noexcept {
            // The peer closes, and onclose is still to come.
            if (ready_state == OPEN && connection.ready_state() != ReadyState::open) return CLOSING;
            return ready_state;
        }
        void fail(std::uint16_t code, std::string_view reason) noexcept {
            ready_state = CLOSING;
            if (linkspan_connection_close(connection.raw(), code, reason.data(), reason.size()) < 0)
                linkspan_connection_abort(connection.raw());
        }
        template <class E>
        void fire(EventHandler<E> WebSocket::*handler, const E &event) const {
            if (socket) (socket->*handler)(event);
        }
    };

    // The connection's handlers. It keeps the state for as long as events may come.
    struct Link {
        void on_open(Connection connection) {
            state->ready_state = OPEN;
            state->protocol = connection.protocol();
            state->extensions = connection.extensions();
            state->fire(&WebSocket::onopen, Event{"open"});
        }
        void on_message(Connection, Kind kind, std::string_view data) {
            if (!state->socket || !state->socket->onmessage || state->ready_state != OPEN) return;
            MessageEvent event{{"message"}, data, kind, nullptr, state->origin};
            if (kind == Kind::binary && state->socket->binaryType == BinaryType::blob)
                event.blob = std::make_shared<const std::string>(data);
            state->fire(&WebSocket::onmessage, event);
        }
        void on_error(Connection, const Error &error) { state->error = error.what(); }
        void on_close(Connection, const CloseInfo &info) {
            const std::shared_ptr<State> kept = state;
            kept->ready_state = CLOSED;
            kept->unsent += info.unsent_bytes;
            // The code of a close frame that was read, and no other: not ours that told the peer of its fault.
            const bool is_fault = !info.rule.empty();
            const CloseEvent event{{"close"}, is_fault ? std::uint16_t{1006} : info.code,
                                   is_fault ? std::string() : info.reason, info.clean && !is_fault};
            try {
                if (kept->error) kept->fire(&WebSocket::onerror, ErrorEvent{{"error"}, *kept->error});
            } catch (...) { // onclose comes all the same.
            }
            kept->fire(&WebSocket::onclose, event);
        }
        void on_reconnect(Connection, const CloseInfo &info, std::chrono::milliseconds) {
            const std::shared_ptr<State> kept = state;
            kept->ready_state = CONNECTING;
            kept->unsent += info.unsent_bytes;
            if (const auto error = std::exchange(kept->error, std::nullopt))
                kept->fire(&WebSocket::onerror, ErrorEvent{{"error"}, *error});
        }
        void on_exception(Connection, std::exception_ptr why) {
            const std::shared_ptr<State> kept = state;
            std::string message = "a handler has thrown something that is not a std::exception";
            try {
                std::rethrow_exception(why);
            } catch (const std::exception &error) {
                message = std::string("a handler has thrown: ") + error.what();
            } catch (...) {
            }
            if (kept->ready_state == CLOSED) {
                kept->fire(&WebSocket::onerror, ErrorEvent{{"error"}, message});
            } else {
                kept->ready_state = CLOSING;
                kept->error = message;
            }
        }
        std::shared_ptr<State> state;
    };

    void close_with(std::uint16_t code, std::string_view reason) {
        const unsigned short now = readyState();
        if (now >= CLOSING) return;
        const linkspan_status status =
            linkspan_connection_close(state_->connection.raw(), code, reason.data(), reason.size());
        if (status == LINKSPAN_INVALID_UTF8) throw DomException("SyntaxError", status, linkspan_last_error());
        check(status);
        state_->ready_state = CLOSING;
        if (now == CONNECTING) state_->error = "closed before the connection was open";
    }

    // As the config takes them.
    static std::string join(const std::vector<std::string> &names) {
        std::string joined;
        for (auto name = names.begin(); name != names.end(); ++name) {
            const bool is_token = !name->empty() && std::all_of(name->begin(), name->end(), [](char c) {
                return c > ' ' && c < '\x7f' && !std::strchr("()<>@,;:\\\"/[]?={}", c);
            });
            if (!is_token)
                throw DomException("SyntaxError", LINKSPAN_INVALID_ARGUMENT,
                                   "'" + *name + "' can not be the name of a subprotocol");
            if (std::find(names.begin(), name, *name) != name)
                throw DomException("SyntaxError", LINKSPAN_INVALID_ARGUMENT,
                                   "the subprotocol '" + *name + "' is named twice");
            joined += (joined.empty() ? "" : ", ") + *name;
        }
        return joined;
    }

    const std::shared_ptr<State> state_;
};

} // namespace linkspan

#endif
