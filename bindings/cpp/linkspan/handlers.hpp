// linkspan/handlers.hpp: what the application is told.
//
// A handler object is of any class with some of these member functions, or members that can be called:
//
//     on_request(Connection, const Request &)          on_open(Connection)
//     on_message(Connection, Kind, std::string_view)   on_drained(Connection)
//     on_message_begin(Connection, Kind)               on_close_requested(Connection)
//     on_message_part(Connection, std::string_view)    on_error(Connection, const Error &)
//     on_message_end(Connection)                       on_close(Connection, const CloseInfo &)
//     on_ping(Connection, std::string_view)            on_exception(Connection, std::exception_ptr)
//     on_pong(Connection, std::string_view)
//     on_reconnect(Connection, const CloseInfo &, std::chrono::milliseconds delay)
//     on_resolve(Connection, const char *host, std::uint16_t port, Resolution)
//
// linkspan_callbacks says when each is called. A class of its own costs what C costs: the compiler sees
// through to its functions. `Handlers` is one made of std::functions, for lambdas.
//
// An exception that leaves a handler closes that connection with 1011; on_exception is told of it.
#ifndef LINKSPAN_HANDLERS_HPP
#define LINKSPAN_HANDLERS_HPP

#include <linkspan/connection.hpp>

#include <chrono>
#include <exception>
#include <memory>

namespace linkspan {

// Handlers as lambdas. Those that are empty when they are handed over are not called.
struct Handlers {
    std::function<void(Connection, const Request &)> on_request;
    std::function<void(Connection)> on_open;
    std::function<void(Connection, Kind, std::string_view)> on_message;
    std::function<void(Connection, Kind)> on_message_begin;
    std::function<void(Connection, std::string_view)> on_message_part;
    std::function<void(Connection)> on_message_end;
    std::function<void(Connection, std::string_view)> on_ping;
    std::function<void(Connection, std::string_view)> on_pong;
    std::function<void(Connection)> on_drained;
    std::function<void(Connection)> on_close_requested;
    std::function<void(Connection, const Error &)> on_error;
    std::function<void(Connection, const CloseInfo &)> on_close;
    std::function<void(Connection, const CloseInfo &, std::chrono::milliseconds)> on_reconnect;
    std::function<void(Connection, const char *, std::uint16_t, Resolution)> on_resolve;
    std::function<void(Connection, std::exception_ptr)> on_exception;
};

namespace detail {

template <class One, class Other>
struct Both : One, Other {};

// For each handler: whether H has one of that name (if it has, the name is ambiguous beside another of that
// name), and whether it is set: a member function always, a std::function when it is not empty.
#define LINKSPAN_HANDLER(name)                                                                             \
    struct Only_##name {                                                                                   \
        int name;                                                                                          \
    };                                                                                                     \
    template <class H, class = void>                                                                       \
    struct Has_##name : std::true_type {};                                                                 \
    template <class H>                                                                                     \
    struct Has_##name<H, std::void_t<decltype(&Both<H, Only_##name>::name)>> : std::false_type {};         \
    template <class H>                                                                                     \
    auto is_set_##name(const H &handlers, int)                                                             \
        ->std::enable_if_t<std::is_member_object_pointer_v<decltype(&H::name)>, bool> {                    \
        return static_cast<bool>(handlers.name);                                                           \
    }                                                                                                      \
    template <class H>                                                                                     \
    bool is_set_##name(const H &, long) {                                                                  \
        return true;                                                                                       \
    }

LINKSPAN_HANDLER(on_request)
LINKSPAN_HANDLER(on_open)
LINKSPAN_HANDLER(on_message)
LINKSPAN_HANDLER(on_message_begin)
LINKSPAN_HANDLER(on_message_part)
LINKSPAN_HANDLER(on_message_end)
LINKSPAN_HANDLER(on_ping)
LINKSPAN_HANDLER(on_pong)
LINKSPAN_HANDLER(on_drained)
LINKSPAN_HANDLER(on_close_requested)
LINKSPAN_HANDLER(on_error)
LINKSPAN_HANDLER(on_close)
LINKSPAN_HANDLER(on_reconnect)
LINKSPAN_HANDLER(on_resolve)
LINKSPAN_HANDLER(on_exception)
#undef LINKSPAN_HANDLER

// Who else is told of what a handler throws: nobody.
struct Unlogged {
    static void thrown(std::exception_ptr) noexcept {}
};

// A handler has thrown.
template <class H, class Log>
void failed(H &handlers, linkspan_connection connection) noexcept {
    if (linkspan_connection_close(connection, 1011, nullptr, 0) < 0) linkspan_connection_abort(connection);
    Log::thrown(std::current_exception());
    if constexpr (Has_on_exception<H>::value) {
        try {
            if (is_set_on_exception(handlers, 0)) handlers.on_exception(Connection(connection), std::current_exception());
        } catch (...) { // There is nobody left to tell.
        }
    }
}

// Runs a handler; what it throws ends here.
template <class H, class Log, class Body>
void call(void *user, linkspan_connection connection, Body body) noexcept {
    H &handlers = *static_cast<H *>(user);
    try {
        body(handlers, Connection(connection));
    } catch (...) {
        failed<H, Log>(handlers, connection);
    }
}

// The table that calls the handlers of an H, its user.
template <class H, class Log = Unlogged>
linkspan_callbacks table(const H &handlers) {
    static_assert(!std::is_final_v<H>, "a handler class must not be final: its names could not be looked up");
    linkspan_callbacks table;
    linkspan_callbacks_init(&table);
#define LINKSPAN_ENTRY(name, parameters, ...)                                                              \
    if constexpr (Has_##name<H>::value) {                                                                  \
        if (is_set_##name(handlers, 0)) {                                                                  \
            table.name = [] parameters {                                                                   \
                call<H, Log>(user, connection, [&](H &h, Connection c) { h.name(__VA_ARGS__); });          \
            };                                                                                             \
        }                                                                                                  \
    }
#define LINKSPAN_ABOUT void *user, linkspan_connection connection
    LINKSPAN_ENTRY(on_request, (LINKSPAN_ABOUT, const linkspan_request *request), c, Request(request))
    LINKSPAN_ENTRY(on_open, (LINKSPAN_ABOUT), c)
    LINKSPAN_ENTRY(on_message, (LINKSPAN_ABOUT, linkspan_message_kind kind, const void *data, std::size_t bytes), c,
                   static_cast<Kind>(kind), Payload(data, bytes))
    LINKSPAN_ENTRY(on_message_begin, (LINKSPAN_ABOUT, linkspan_message_kind kind), c, static_cast<Kind>(kind))
    LINKSPAN_ENTRY(on_message_part, (LINKSPAN_ABOUT, const void *data, std::size_t bytes), c, Payload(data, bytes))
    LINKSPAN_ENTRY(on_message_end, (LINKSPAN_ABOUT), c)
    LINKSPAN_ENTRY(on_ping, (LINKSPAN_ABOUT, const void *data, std::size_t bytes), c, Payload(data, bytes))
    LINKSPAN_ENTRY(on_pong, (LINKSPAN_ABOUT, const void *data, std::size_t bytes), c, Payload(data, bytes))
    LINKSPAN_ENTRY(on_drained, (LINKSPAN_ABOUT), c)
    LINKSPAN_ENTRY(on_close_requested, (LINKSPAN_ABOUT), c)
    LINKSPAN_ENTRY(on_error, (LINKSPAN_ABOUT, const linkspan_error *error), c, Error(*error))
    LINKSPAN_ENTRY(on_close, (LINKSPAN_ABOUT, const linkspan_close_info *info), c, CloseInfo(*info))
    LINKSPAN_ENTRY(on_reconnect, (LINKSPAN_ABOUT, const linkspan_close_info *info, std::uint64_t delay), c,
                   CloseInfo(*info), std::chrono::milliseconds(delay))
    LINKSPAN_ENTRY(on_resolve, (LINKSPAN_ABOUT, const char *host, std::uint16_t port, linkspan_resolution resolution), c,
                   host, port, Resolution(resolution))
#undef LINKSPAN_ABOUT
#undef LINKSPAN_ENTRY
    return table;
}

// Gives `handlers` to the library with a struct of options: it is destroyed when no event can come any more,
// and when `call` fails.
template <class H, class Options, class Call>
void with_handlers(H handlers, Options &options, Call call) {
    auto owned = std::make_unique<H>(std::move(handlers));
    linkspan_callbacks callbacks = table(*owned);
    callbacks.free_user = [](void *user) { delete static_cast<H *>(user); };
    options.size = sizeof options;
    options.callbacks = &callbacks;
    options.user = owned.release();
    check(call(&options));
}

} // namespace detail

template <class H>
void Connection::handle(H &handlers) const {
    const linkspan_callbacks table = detail::table(handlers);
    check(linkspan_connection_on_open(raw_, table.on_open, &handlers));
    check(linkspan_connection_on_message(raw_, table.on_message, &handlers));
    check(linkspan_connection_on_message_begin(raw_, table.on_message_begin, &handlers));
    check(linkspan_connection_on_message_part(raw_, table.on_message_part, &handlers));
    check(linkspan_connection_on_message_end(raw_, table.on_message_end, &handlers));
    check(linkspan_connection_on_ping(raw_, table.on_ping, &handlers));
    check(linkspan_connection_on_pong(raw_, table.on_pong, &handlers));
    check(linkspan_connection_on_drained(raw_, table.on_drained, &handlers));
    check(linkspan_connection_on_close_requested(raw_, table.on_close_requested, &handlers));
    check(linkspan_connection_on_error(raw_, table.on_error, &handlers));
    check(linkspan_connection_on_close(raw_, table.on_close, &handlers));
    check(linkspan_connection_on_reconnect(raw_, table.on_reconnect, &handlers));
}

} // namespace linkspan

#endif
