// linkspan/loop.hpp: connections on one thread, and where clients come from.
#ifndef LINKSPAN_LOOP_HPP
#define LINKSPAN_LOOP_HPP

#include <linkspan/handlers.hpp>
#include <linkspan/tls.hpp>

#include <chrono>

namespace linkspan {

// A loop serves any number of connections on one thread: the one that last ran it. stop, post and shutdown may
// be called on any thread, the rest on the loop's. Destroying it ends its connections; inside one of its
// handlers that waits until the handler has returned.
class Loop {
public:
    Loop() {
        linkspan_loop *raw = nullptr;
        check(linkspan_loop_new(&raw));
        raw_.reset(raw);
    }
    void run() { check(linkspan_loop_run(raw())); }
    // Waits for something to do, at most this long (without end when it is negative), does it, and returns.
    void run_once(std::chrono::milliseconds timeout) { check(linkspan_loop_run_once(raw(), timeout.count())); }
    void stop() { check(linkspan_loop_stop(raw())); }
    // Closes every connection; those that are still there after the deadline are aborted; then run returns.
    void shutdown(std::chrono::milliseconds deadline, std::uint16_t code = 1001, std::string_view reason = {}) {
        check(linkspan_loop_shutdown(raw(), code, reason.data(), reason.size(),
                                     static_cast<std::uint64_t>(deadline.count())));
    }
    // Runs `task` on the loop's thread, soon: once, in the order of the posts; when the loop is destroyed
    // before that, while it is. An exception that leaves it ends the program, as one that leaves a thread.
    template <class Task>
    void post(Task task) {
        auto owned = std::make_unique<Task>(std::move(task));
        const linkspan_task once = [](void *user) noexcept {
            const std::unique_ptr<Task> taken(static_cast<Task *>(user));
            (*taken)();
        };
        const linkspan_status status = linkspan_loop_post(raw(), once, owned.get());
        // It has run, or will: the library has kept it, unless there is no loop at all.
        if (raw()) static_cast<void>(owned.release());
        check(status);
    }

    // For a loop of somebody else's: wait until fd is readable, at most next_timeout milliseconds (-1: without
    // end), then run_once(0ms).
    // After stop or shutdown, until run has seen it: a loop of somebody else's may end too.
    bool is_stopping() const noexcept { return linkspan_loop_is_stopping(raw()); }
    int fd() const noexcept { return linkspan_loop_fd(raw()); }
    std::int64_t next_timeout() const noexcept { return linkspan_loop_next_timeout(raw()); }

    // Opens a connection: on_open follows, or on_error and on_close. The handlers (handlers.hpp) are moved in,
    // and live until it has closed. Of the options, url, callbacks and user are set here.
    template <class H>
    Connection connect(const std::string &url, H handlers, linkspan_client_options options = ClientOptions()) {
        linkspan_connection connection = {0};
        options.url = url.c_str();
        detail::with_handlers(std::move(handlers), options, [&](const linkspan_client_options *with) {
            return linkspan_connect(raw(), with, &connection);
        });
        return Connection(connection);
    }
    // Takes over a connected stream socket; it is the library's from now on, on failure too.
    template <class H>
    Connection adopt_fd(int fd, H handlers, linkspan_adopt_options options = AdoptOptions()) {
        linkspan_connection connection = {0};
        detail::with_handlers(std::move(handlers), options, [&](const linkspan_adopt_options *with) {
            return linkspan_loop_adopt_fd(raw(), fd, with, &connection);
        });
        return Connection(connection);
    }
    // Takes over a stream of your own, as linkspan_transport describes it.
    template <class H>
    Connection adopt(const linkspan_transport &transport, H handlers,
                     linkspan_adopt_options options = AdoptOptions()) {
        linkspan_connection connection = {0};
        detail::with_handlers(std::move(handlers), options, [&](const linkspan_adopt_options *with) {
            return linkspan_loop_adopt(raw(), &transport, with, &connection);
        });
        return Connection(connection);
    }
    // To all subscribers among its connections; how many they are. Any thread.
    void publish(Payload topic, Kind kind, Payload data) {
        check(linkspan_loop_publish(raw(), topic.data(), topic.size(), static_cast<linkspan_message_kind>(kind),
                                    data.data(), data.size()));
    }
    std::size_t subscriber_count(Payload topic) const noexcept {
        return linkspan_loop_subscriber_count(raw(), topic.data(), topic.size());
    }
    // What it has counted, at once; as OpenMetrics text. Any thread.
    Metrics metrics() const {
        Metrics metrics;
        check(linkspan_loop_metrics(raw(), &metrics));
        return metrics;
    }
    std::string openmetrics() const {
        return *detail::copied([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return linkspan_loop_openmetrics(raw(), buffer, capacity, length);
        });
    }
    linkspan_loop *raw() const noexcept { return raw_.get(); }

private:
    detail::Owner<linkspan_loop, linkspan_loop_free> raw_;
};

} // namespace linkspan

#endif
