// linkspan/engine.hpp: WebSocket without a socket of ours: an engine for streams of your own, and a handshake
// for hosts that have read the request themselves.
#ifndef LINKSPAN_ENGINE_HPP
#define LINKSPAN_ENGINE_HPP

#include <linkspan/connection.hpp>
#include <linkspan/tls.hpp>

namespace linkspan {

// An opening handshake whose head the host has read and whose answer the host writes. One thread at a time.
class Handshake {
public:
    static Handshake from_headers(const std::string &method, const std::string &target, const Headers &headers,
                                  const linkspan_config &config = Config()) {
        linkspan_handshake *raw = nullptr;
        check(linkspan_handshake_from_headers(&config, method.c_str(), target.c_str(), headers.data(), headers.size(),
                                              &raw));
        return Handshake(raw);
    }
    // 101, or the status to refuse it with.
    std::uint16_t status() const noexcept { return linkspan_handshake_status(raw()); }
    Request request() const noexcept { return Request(linkspan_handshake_request(raw())); }
    void accept(const linkspan_accept_options &options = AcceptOptions()) {
        check(linkspan_handshake_accept(raw(), &options));
    }
    // The header field of the answer at this place, or nothing past the last.
    std::optional<std::pair<std::string_view, std::string_view>> header_at(std::size_t index) const {
        linkspan_text name, value;
        const linkspan_status status = linkspan_handshake_header_at(raw(), index, &name, &value);
        if (status == LINKSPAN_NOT_FOUND) return std::nullopt;
        check(status);
        return std::pair(view(name), view(value));
    }
    // The body of a refusal.
    std::string_view body() const noexcept { return view(linkspan_handshake_body(raw())); }
    linkspan_handshake *raw() const noexcept { return raw_.get(); }

private:
    explicit Handshake(linkspan_handshake *raw) noexcept : raw_(raw) {}
    detail::Owner<linkspan_handshake, linkspan_handshake_free> raw_;
};

// One WebSocket without a socket: linkspan.h says in which order to call. `now` is in milliseconds since a
// moment that you pick. One thread at a time.
class Engine {
public:
    static Engine server(std::uint64_t now, const linkspan_config &config = Config()) {
        linkspan_engine *raw = nullptr;
        check(linkspan_engine_server(&config, now, &raw));
        return Engine(raw);
    }
    static Engine client(const std::string &url, std::uint64_t now, const linkspan_config &config = Config(),
                         const Headers &headers = {}) {
        linkspan_engine *raw = nullptr;
        check(linkspan_engine_client(&config, url.c_str(), headers.data(), headers.size(), now, &raw));
        return Engine(raw);
    }
    // A server's end behind an accepted handshake.
    static Engine adopt(const Handshake &handshake, std::uint64_t now) {
        linkspan_engine *raw = nullptr;
        check(linkspan_engine_adopt(handshake.raw(), now, &raw));
        return Engine(raw);
    }

    // The world. The bytes are worked on in place, until next_event says LINKSPAN_EVENT_NONE.
    void receive(void *data, std::size_t bytes) { check(linkspan_engine_receive(raw(), data, bytes)); }
    linkspan_event next_event(std::uint64_t now) {
        linkspan_event event;
        check(linkspan_engine_next_event(raw(), now, &event));
        return event;
    }
    void end_of_input(std::uint64_t now) { check(linkspan_engine_end_of_input(raw(), now)); }
    void lost(std::uint64_t now) { check(linkspan_engine_lost(raw(), now)); }
    void stalled(std::uint64_t now) { check(linkspan_engine_stalled(raw(), now)); }
    void handle_timeout(std::uint64_t now) { check(linkspan_engine_handle_timeout(raw(), now)); }

    // The application.
    void accept(std::uint64_t now, const linkspan_accept_options &options = AcceptOptions()) {
        check(linkspan_engine_accept(raw(), now, &options));
    }
    void reject(std::uint64_t now, std::uint16_t status, Payload body = {}, const Headers &headers = {}) {
        check(linkspan_engine_reject(raw(), now, status, headers.data(), headers.size(), body.data(), body.size()));
    }
    linkspan_status send(Kind kind, Payload data) {
        return check(linkspan_engine_send(raw(), static_cast<linkspan_message_kind>(kind), data.data(), data.size()));
    }
    linkspan_status send_fragment(Kind kind, Payload data, bool fin) {
        return check(linkspan_engine_send_fragment(raw(), static_cast<linkspan_message_kind>(kind), data.data(),
                                                   data.size(), fin));
    }
    void ping(Payload data = {}) { check(linkspan_engine_ping(raw(), data.data(), data.size())); }
    void pong(Payload data = {}) { check(linkspan_engine_pong(raw(), data.data(), data.size())); }
    void close(std::uint64_t now, std::uint16_t code = 1000, std::string_view reason = {}) {
        check(linkspan_engine_close(raw(), now, code, reason.data(), reason.size()));
    }
    void abort(std::uint64_t now) { check(linkspan_engine_abort(raw(), now)); }
    void pause() { check(linkspan_engine_pause(raw())); }
    void resume() { check(linkspan_engine_resume(raw())); }

    // Out: how many slices were filled with what waits to be written; what was written; then what to do with
    // the stream (LINKSPAN_SHUTDOWN_NOT and others), and until when to wait.
    std::size_t outgoing(linkspan_slice *slices, std::size_t capacity) {
        return linkspan_engine_outgoing(raw(), slices, capacity);
    }
    void sent(std::size_t bytes) { check(linkspan_engine_sent(raw(), bytes)); }
    linkspan_shutdown shutdown() noexcept { return linkspan_engine_shutdown(raw()); }
    std::uint64_t next_timeout() noexcept { return linkspan_engine_next_timeout(raw()); }

    // Questions. Texts live until the next call.
    ReadyState ready_state() noexcept { return static_cast<ReadyState>(linkspan_engine_ready_state(raw())); }
    std::uint64_t buffered_amount() noexcept { return linkspan_engine_buffered_amount(raw()); }
    std::string_view url() noexcept { return view(linkspan_engine_url(raw())); }
    std::string_view protocol() noexcept { return view(linkspan_engine_protocol(raw())); }
    std::string_view extensions() noexcept { return view(linkspan_engine_extensions(raw())); }
    std::optional<CloseInfo> close_info() {
        linkspan_close_info info;
        linkspan_close_info_init(&info);
        const linkspan_status status = linkspan_engine_close_info(raw(), &info);
        if (status == LINKSPAN_NOT_FOUND) return std::nullopt;
        check(status);
        return CloseInfo(info);
    }
    linkspan_engine *raw() const noexcept { return raw_.get(); }

private:
    explicit Engine(linkspan_engine *raw) noexcept : raw_(raw) {}
    detail::Owner<linkspan_engine, linkspan_engine_free> raw_;
};

} // namespace linkspan

#endif
