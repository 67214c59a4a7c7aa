// linkspan_coroutines.hpp: a connection that is taken message by message, in a C++20 coroutine.
//
//     #include <linkspan_coroutines.hpp>
//
//     #include <iostream>
//
//     linkspan::Task ask(linkspan::Loop &loop) {
//         try {
//             linkspan::Session session = co_await linkspan::Session::connect(loop, "ws://localhost:9001/");
//             session.connection().send_text("hello");
//             while (const auto message = co_await session.next()) std::cout << message->data << '\n';
//         } catch (const linkspan::Error &error) {
//             std::cerr << error.what() << '\n';
//         }
//         loop.stop();
//     }
//
//     int main() {
//         linkspan::Loop loop;
//         ask(loop);
//         loop.run();
//     }
//
// A server's connection becomes a session in on_open: pass linkspan::Session(connection) to a coroutine.
//
// Everything here is for the loop's thread; `co_await linkspan::resume_on(loop)` brings a coroutine there.
#ifndef LINKSPAN_COROUTINES_HPP
#define LINKSPAN_COROUTINES_HPP

#include <linkspan.hpp>

#if defined(__cpp_impl_coroutine)

#include <coroutine>
#include <deque>

namespace linkspan {

// A coroutine that begins at once, runs by itself, and is told of by nobody. An exception that leaves it ends the
// program, as one that leaves a thread.
struct Task {
    struct promise_type {
        Task get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
    };
};

// co_await resume_on(loop): goes on in the loop's thread.
inline auto resume_on(Loop &loop) noexcept {
    struct Awaitable {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiting) const {
            loop.post([waiting] { waiting.resume(); });
        }
        void await_resume() const noexcept {}
        Loop &loop;
    };
    return Awaitable{loop};
}

struct Message {
    Kind kind;
    std::string data;
};

// One open connection. While nobody waits for the next message, nothing more is read: a fast peer waits. Destroyed,
// it closes with 1000. One coroutine at a time may wait.
class Session {
    class State;

public:
    // Takes over the events of an open connection, in its on_open for instance.
    explicit Session(Connection connection) : state_(std::make_shared<State>(connection)) { state_->begin(state_); }
    Session(Session &&) noexcept = default;
    Session &operator=(Session &&other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~Session() {
        if (state_) state_->end();
    }

    // co_await gives a Session, or throws what on_error is told.
    static auto connect(Loop &loop, const std::string &url, linkspan_client_options options = ClientOptions()) {
        Session session(loop.connect(url, Handlers(), options));
        struct Awaitable {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> waiting) const noexcept { session.state_->waiting = waiting; }
            Session await_resume() {
                session.state_->check_open();
                return std::move(session);
            }
            Session session;
        };
        return Awaitable{std::move(session)};
    }

    // co_await gives the next message, or nothing when the connection has closed; or throws what on_error is told.
    auto next() {
        struct Awaitable {
            bool await_ready() const noexcept { return state->is_ready(); }
            void await_suspend(std::coroutine_handle<> waiting) const noexcept { state->waiting = waiting; }
            std::optional<Message> await_resume() const { return state->take(); }
            std::shared_ptr<State> state;
        };
        return Awaitable{state_};
    }

    Connection connection() const noexcept { return state_->connection; }
    // How it ended; nothing while it has not.
    const std::optional<CloseInfo> &close_info() const noexcept { return state_->closed; }

private:
    // The connection's handlers; they live until its on_close, and as long as the session.
    class State {
    public:
        explicit State(Connection its) : connection(its) {}
        void begin(std::shared_ptr<State> self) {
            connection.handle(*this);
            self_ = std::move(self);
        }
        // There is no session any more.
        void end() noexcept {
            waiting = nullptr;
            if (closed) return;
            linkspan_connection_resume(connection.raw());
            if (linkspan_connection_close(connection.raw(), 1000, nullptr, 0) < 0)
                linkspan_connection_abort(connection.raw());
        }
        bool is_ready() const noexcept {
            if (messages_.empty() && !closed) linkspan_connection_resume(connection.raw());
            return !messages_.empty() || closed;
        }
        std::optional<Message> take() {
            if (!messages_.empty()) {
                Message first = std::move(messages_.front());
                messages_.pop_front();
                return first;
            }
            if (error_) throw Error(*std::exchange(error_, std::nullopt));
            return std::nullopt;
        }
        void check_open() const {
            if (error_) throw Error(*error_);
            if (closed) throw Error(LINKSPAN_CLOSED, "the connection has ended before it was open");
        }

        void on_open(Connection) { wake(); }
        void on_message(Connection, Kind kind, std::string_view data) {
            messages_.push_back({kind, std::string(data)});
            if (!wake()) connection.pause();
        }
        void on_error(Connection, const Error &error) { error_ = error; }
        // What was lost is tried again: there is nothing to tell yet.
        void on_reconnect(Connection, const CloseInfo &, std::chrono::milliseconds) { error_.reset(); }
        void on_close(Connection, const CloseInfo &info) {
            const std::shared_ptr<State> last = std::move(self_);
            closed = info;
            wake();
        }

        const Connection connection;
        std::coroutine_handle<> waiting;
        std::optional<CloseInfo> closed;

    private:
        bool wake() {
            const auto waited = std::exchange(waiting, nullptr);
            if (waited) waited.resume();
            return waited != nullptr;
        }

        // One, and those that were read before the pause.
        std::deque<Message> messages_;
        std::optional<Error> error_;
        std::shared_ptr<State> self_;
    };

    std::shared_ptr<State> state_;
};

} // namespace linkspan

#endif

#endif
