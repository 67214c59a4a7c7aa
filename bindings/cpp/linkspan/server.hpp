// linkspan/server.hpp: one address or several, served by loops of its own or by one of yours.
#ifndef LINKSPAN_SERVER_HPP
#define LINKSPAN_SERVER_HPP

#include <linkspan/handlers.hpp>
#include <linkspan/tls.hpp>

#include <chrono>

namespace linkspan {

// A server on threads of its own, or, with ServerOptions::event_loop, in a loop of yours. Any thread may call.
// With several loops, handlers of different connections run at the same time. Destroying it stops it and waits
// for its threads; inside one of its handlers it does not wait, and that handler may go on.
class Server {
public:
    // The handlers (handlers.hpp) are moved in; they live as long as one of them may be called. Of the options,
    // callbacks and user are set here.
    template <class H>
    explicit Server(H handlers, linkspan_server_options options = ServerOptions()) {
        linkspan_server *raw = nullptr;
        detail::with_handlers(std::move(handlers), options, [&](const linkspan_server_options *with) {
            return linkspan_server_new(with, &raw);
        });
        raw_.reset(raw);
    }
    // Each of these may be called several times before start. Port 0 picks a free one.
    void listen(const std::string &host, std::uint16_t port) {
        check(linkspan_server_listen(raw(), host.c_str(), port));
    }
    void listen_unix(const std::string &path) { check(linkspan_server_listen_unix(raw(), path.c_str())); }
    // A listening socket that somebody else has made; the server's from now on, on failure too.
    void listen_fd(int fd) { check(linkspan_server_listen_fd(raw(), fd)); }
    // The sockets that systemd passes to this process under a name; or all that it passes.
    void listen_systemd() { check(linkspan_server_listen_systemd(raw(), nullptr)); }
    void listen_systemd(const std::string &name) { check(linkspan_server_listen_systemd(raw(), name.c_str())); }
    // The first port; the port of the listener at a place. 0 for a Unix socket.
    std::uint16_t port() const noexcept { return linkspan_server_port(raw()); }
    std::uint16_t port_at(std::size_t index) const noexcept { return linkspan_server_port_at(raw(), index); }
    void start() { check(linkspan_server_start(raw())); }
    // Accepts nobody until resume; those who come meanwhile wait.
    void pause() { check(linkspan_server_pause(raw())); }
    void resume() { check(linkspan_server_resume(raw())); }
    // Accepts no more, closes every connection, aborts what is left at the deadline; over the options'
    // drain_window. Returns at once.
    void drain(std::chrono::milliseconds deadline, std::uint16_t code = 1001, std::string_view reason = {}) {
        check(linkspan_server_drain(raw(), code, reason.data(), reason.size(),
                                    static_cast<std::uint64_t>(deadline.count())));
    }
    // Waits until its threads have ended, after drain or stop.
    void wait() { check(linkspan_server_wait(raw())); }
    void stop() { check(linkspan_server_stop(raw())); }
    // To all subscribers among its connections; how many they are.
    void publish(Payload topic, Kind kind, Payload data) {
        check(linkspan_server_publish(raw(), topic.data(), topic.size(), static_cast<linkspan_message_kind>(kind),
                                    data.data(), data.size()));
    }
    std::size_t subscriber_count(Payload topic) const noexcept {
        return linkspan_server_subscriber_count(raw(), topic.data(), topic.size());
    }
    // What its loops have counted; as OpenMetrics text.
    Metrics metrics() const {
        Metrics metrics;
        check(linkspan_server_metrics(raw(), &metrics));
        return metrics;
    }
    std::string openmetrics() const {
        return *detail::copied([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return linkspan_server_openmetrics(raw(), buffer, capacity, length);
        });
    }
    linkspan_server *raw() const noexcept { return raw_.get(); }

private:
    detail::Owner<linkspan_server, linkspan_server_free> raw_;
};

} // namespace linkspan

#endif
