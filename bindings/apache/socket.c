/* socket.c: what the library tells of a WebSocket is counted, noted for the log, and told to the location's handler.
 * All of it on the loop's thread. */
#include "mod_linkspan.h"

static const linkspan_callbacks *callbacks_of(const ls_socket *socket)
{
    return socket->handler->callbacks;
}

static void on_open(void *user, linkspan_connection connection)
{
    ls_socket *socket = user;
    socket->connection = connection;
    if (callbacks_of(socket)->on_open) {
        callbacks_of(socket)->on_open(user, connection);
    }
    /* One that has come while the child goes down. */
    if (apr_atomic_read32(&ls_this_child.is_stopping)) {
        linkspan_connection_close(connection, 1001, NULL, 0);
    }
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes)
{
    ls_socket *socket = user;
    socket->messages_in++;
    socket->bytes_in += bytes;
    if (socket->idle_timeout) {
        socket->heard = apr_time_now();
    }
    if (callbacks_of(socket)->on_message) {
        callbacks_of(socket)->on_message(user, connection, kind, data, bytes);
    }
}

static void on_drained(void *user, linkspan_connection connection)
{
    if (callbacks_of(user)->on_drained) {
        callbacks_of(user)->on_drained(user, connection);
    }
}

static void on_ping(void *user, linkspan_connection connection, const void *data, size_t bytes)
{
    if (callbacks_of(user)->on_ping) {
        callbacks_of(user)->on_ping(user, connection, data, bytes);
    }
}

static void on_pong(void *user, linkspan_connection connection, const void *data, size_t bytes)
{
    if (callbacks_of(user)->on_pong) {
        callbacks_of(user)->on_pong(user, connection, data, bytes);
    }
}

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error)
{
    ls_socket *socket = user;
    if (socket->c) {
        ap_log_cerror(APLOG_MARK, APLOG_INFO, 0, socket->c, "linkspan: %.*s", (int)error->message.bytes, error->message.data);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, ls_this_child.server, "linkspan: %.*s", (int)error->message.bytes,
                     error->message.data);
    }
    if (callbacks_of(user)->on_error) {
        callbacks_of(user)->on_error(user, connection, error);
    }
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info)
{
    ls_socket *socket = user;
    socket->code = info->code;
    socket->is_clean = info->clean != 0;
    if (socket->c) {
        ap_log_cerror(APLOG_MARK, APLOG_DEBUG, 0, socket->c, "linkspan: closed with %d%s", info->code,
                      info->clean ? "" : ", without a closing handshake");
    }
    if (callbacks_of(socket)->on_close) {
        callbacks_of(socket)->on_close(user, connection, info);
    }
    apr_atomic_dec32(&ls_this_child.open);
}

static const linkspan_callbacks callbacks = {
    .size = sizeof callbacks,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_error = on_error,
    .on_close = on_close,
};

/* A detached one's memory goes with it. */
static void release(void *user)
{
    ls_socket *socket = user;
    ls_io_leave(socket->io, socket);
    free(socket);
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
    if (!transport) {
        own.free_user = release;
        options.callbacks = &own;
    }
    linkspan_handshake *handshake = socket->handshake;
    void *unread = socket->unread;
    socket->handshake = NULL;
    socket->unread = NULL;
    server_rec *server = ls_this_child.server;
    linkspan_status status = transport ? linkspan_loop_adopt(loop, transport, &options, NULL)
                                       : linkspan_loop_adopt_fd(loop, socket->fd, &options, NULL);
    linkspan_handshake_free(handshake);
    free(unread);
    if (status) {
        apr_atomic_dec32(&ls_this_child.open);
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, server, "linkspan: a socket can not be carried: %s", linkspan_last_error());
    }
    return status;
}

linkspan_status ls_socket_send(ls_socket *socket, linkspan_message_kind kind, const void *data, size_t bytes)
{
    linkspan_status status = linkspan_connection_send(socket->connection, kind, data, bytes);
    if (status >= LINKSPAN_OK) {
        socket->messages_out++;
        socket->bytes_out += bytes;
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
