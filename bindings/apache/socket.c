/* socket.c: what the library tells of a WebSocket is counted, noted for the log, and told to the location's handler.
 * All of it on the loop's thread. */
#include "mod_linkspan.h"

static void *user_of(ls_socket *socket)
{
    return socket->handler->has_user ? socket->handler->user : socket;
}

/* Tells the handler, if it wants to be told. */
#define TELL(socket, name, ...)                                                                                        \
    do {                                                                                                               \
        if ((socket)->handler->callbacks->name) {                                                                      \
            (socket)->handler->callbacks->name(user_of(socket), __VA_ARGS__);                                          \
        }                                                                                                              \
    } while (0)

static void on_open(void *user, linkspan_connection connection)
{
    ls_socket *socket = user;
    socket->connection = connection;
    TELL(socket, on_open, connection);
    /* One that has come while the child goes down. */
    if (apr_atomic_read32(&ls_this_child.is_stopping)) {
        linkspan_connection_close(connection, 1001, NULL, 0);
    }
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes)
{
    ls_socket *socket = user;
    if (socket->c) {
        socket->messages_in++;
        socket->bytes_in += bytes;
    }
    ls_count(LS_MESSAGES_IN, 1);
    ls_count(LS_BYTES_IN, bytes);
    if (socket->idle_timeout) {
        socket->heard = apr_time_now();
    }
    TELL(socket, on_message, connection, kind, data, bytes);
}

static void on_drained(void *user, linkspan_connection connection)
{
    ls_socket *socket = user;
    TELL(socket, on_drained, connection);
}

static void on_ping(void *user, linkspan_connection connection, const void *data, size_t bytes)
{
    ls_socket *socket = user;
    TELL(socket, on_ping, connection, data, bytes);
}

static void on_pong(void *user, linkspan_connection connection, const void *data, size_t bytes)
{
    ls_socket *socket = user;
    TELL(socket, on_pong, connection, data, bytes);
}

static void on_close_requested(void *user, linkspan_connection connection)
{
    ls_socket *socket = user;
    TELL(socket, on_close_requested, connection);
}

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error)
{
    ls_socket *socket = user;
    ls_socket_log(socket, APLOG_INFO, "", error->message);
    TELL(socket, on_error, connection, error);
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info)
{
    ls_socket *socket = user;
    static const char abrupt[] = "closed without a closing handshake", clean[] = "closed";
    linkspan_text how = {info->clean ? clean : abrupt, info->clean ? sizeof clean - 1 : sizeof abrupt - 1};
    socket->code = info->code;
    socket->is_clean = info->clean != 0;
    ls_socket_log(socket, APLOG_DEBUG, "", how);
    TELL(socket, on_close, connection, info);
}

static const linkspan_callbacks callbacks = {
    .size = sizeof callbacks,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close_requested = on_close_requested,
    .on_error = on_error,
    .on_close = on_close,
};

void ls_socket_log(const ls_socket *socket, int level, const char *what, linkspan_text message)
{
    if (socket->c) {
        ap_log_cerror(APLOG_MARK, level, 0, socket->c, "linkspan: %s%.*s", what, (int)message.bytes, message.data);
    }
    else {
        ap_log_error(APLOG_MARK, level, 0, ls_this_child.server, "linkspan: %s%.*s", what, (int)message.bytes, message.data);
    }
}

apr_interval_time_t ls_socket_silence(const ls_socket *socket, apr_time_t now)
{
    apr_time_t spoken = socket->handler->spoken ? socket->handler->spoken(socket) : 0;
    return now - (spoken > socket->heard ? spoken : socket->heard);
}

void ls_socket_gone(const ls_socket *socket)
{
    apr_atomic_dec32(&ls_this_child.open);
    ls_count_open(socket->way, -1);
}

/* Of a detached one, what it is from now on. */
static ls_socket *pack(ls_socket *socket)
{
    ls_io *io = socket->io;
    ls_socket *packed = io->spare;
    if (packed) {
        io->spare = packed->next;
    }
    else {
        packed = apr_palloc(io->store, offsetof(ls_socket, handshake));
    }
    memcpy(packed, socket, offsetof(ls_socket, handshake));
    free(socket);
    return packed;
}

/* A detached one's place is free. */
static void release(void *user)
{
    ls_socket *socket = user;
    ls_io *io = socket->io;
    ls_io_leave(io, socket);
    ls_socket_gone(socket);
    socket->next = io->spare;
    io->spare = socket;
}

linkspan_status ls_socket_adopt(ls_socket *socket, linkspan_loop *loop, const linkspan_transport *transport)
{
    linkspan_adopt_options options = {
        .size = sizeof options,
        .handshake = socket->handshake,
        .callbacks = &callbacks,
        .user = socket,
        .unread = socket->unread,
        .unread_bytes = socket->unread_bytes,
    };
    linkspan_callbacks own = callbacks;
    linkspan_handshake *handshake = socket->handshake;
    void *unread = socket->unread;
    int fd = socket->fd;
    socket->handshake = NULL;
    socket->unread = NULL;
    const ls_handler *handler = socket->handler;
    void *cookie = socket->cookie;
    if (!transport) {
        socket = pack(socket);
        ls_io_enter(socket->io, socket);
        own.free_user = release;
        options.callbacks = &own;
        options.user = socket;
    }
    linkspan_status status = transport ? linkspan_loop_adopt(loop, transport, &options, NULL)
                                       : linkspan_loop_adopt_fd(loop, fd, &options, NULL);
    linkspan_handshake_free(handshake);
    free(unread);
    if (status) {
        /* The socket itself may have gone by now. */
        ls_forget(handler, cookie);
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, ls_this_child.server, "linkspan: a socket can not be carried: %s", linkspan_last_error());
    }
    return status;
}

linkspan_status ls_socket_send(ls_socket *socket, linkspan_message_kind kind, const void *data, size_t bytes)
{
    linkspan_status status = linkspan_connection_send(socket->connection, kind, data, bytes);
    if (status >= LINKSPAN_OK) {
        if (socket->c) {
            /* Several threads of a plugin may send at once. */
            __atomic_add_fetch(&socket->messages_out, 1, __ATOMIC_RELAXED);
            __atomic_add_fetch(&socket->bytes_out, bytes, __ATOMIC_RELAXED);
        }
        ls_count(LS_MESSAGES_OUT, 1);
        ls_count(LS_BYTES_OUT, bytes);
        if (socket->idle_timeout) {
            socket->heard = apr_time_now();
        }
    }
    else if (status == LINKSPAN_FULL) {
        static const char why[] = "the reader is too slow";
        linkspan_connection_close(socket->connection, 1013, why, sizeof why - 1);
    }
    return status;
}
