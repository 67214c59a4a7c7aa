/* Generated from include/linkspan.h by ffi/tests/header.rs, which says how; do not edit.
 *
 * Every function that is about one connection, or belongs to the loop's thread, with arguments that are good. */
#ifndef CALLS_H
#define CALLS_H

#include "check.h"

#include <sys/socket.h>
#include <unistd.h>

struct call {
    const char *name;
    /* Its first argument is a connection. */
    int is_about_a_connection;
    /* Every thread may call it. */
    int is_any;
    /* It answers a linkspan_status; else `nothing` is what it answers when there is no answer. */
    int is_status;
    long long nothing;
    long long (*call)(linkspan_connection connection);
};

/* What is given where more than a number is asked for; the test sets the loop. */
static linkspan_loop *call_loop;
static linkspan_client_options call_client = {.size = sizeof call_client, .url = "ws://127.0.0.1:1/"};
static linkspan_close_info call_info = {.size = sizeof call_info};
static char call_buffer[256];
static const void *call_pointer;
static size_t call_size;
static linkspan_text call_text;

static int64_t call_again(void *user, void *buffer, size_t bytes) {
    (void)user;
    (void)buffer;
    (void)bytes;
    return LINKSPAN_TRANSPORT_AGAIN;
}

static int64_t call_take(void *user, const linkspan_slice *slices, size_t count) {
    (void)user;
    (void)slices;
    (void)count;
    return LINKSPAN_TRANSPORT_AGAIN;
}

/* A stream whose other end is gone, to give away. */
static int call_fd(void) {
    int ends[2];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    close(ends[1]);
    return ends[0];
}

static linkspan_transport call_transport = {.size = sizeof call_transport, .read = call_again, .write = call_take};

static inline long long call_linkspan_request_accept(linkspan_connection connection) {
    (void)connection;
    return linkspan_request_accept(connection, NULL);
}

static inline long long call_linkspan_request_reject(linkspan_connection connection) {
    (void)connection;
    return linkspan_request_reject(connection, 404, NULL, 0, "x", 1);
}

static inline long long call_linkspan_request_defer(linkspan_connection connection) {
    (void)connection;
    return linkspan_request_defer(connection);
}

static inline long long call_linkspan_loop_fd(linkspan_connection connection) {
    (void)connection;
    return linkspan_loop_fd(call_loop);
}

static inline long long call_linkspan_loop_next_timeout(linkspan_connection connection) {
    (void)connection;
    return linkspan_loop_next_timeout(call_loop);
}

static inline long long call_linkspan_loop_is_stopping(linkspan_connection connection) {
    (void)connection;
    return linkspan_loop_is_stopping(call_loop);
}

static inline long long call_linkspan_connect(linkspan_connection connection) {
    (void)connection;
    return linkspan_connect(call_loop, &call_client, NULL);
}

static inline long long call_linkspan_connection_send_text(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_send_text(connection, "x", 1);
}

static inline long long call_linkspan_connection_send_binary(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_send_binary(connection, "x", 1);
}

static inline long long call_linkspan_connection_send(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_send(connection, LINKSPAN_TEXT, "x", 1);
}

static inline long long call_linkspan_connection_send_fragment(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_send_fragment(connection, LINKSPAN_TEXT, "x", 1, true);
}

static inline long long call_linkspan_connection_send_owned(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_send_owned(connection, LINKSPAN_TEXT, "x", 1, NULL, NULL);
}

static inline long long call_linkspan_connection_ping(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_ping(connection, "x", 1);
}

static inline long long call_linkspan_connection_pong(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_pong(connection, "x", 1);
}

static inline long long call_linkspan_connection_close(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_close(connection, 1000, "x", 1);
}

static inline long long call_linkspan_connection_abort(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_abort(connection);
}

static inline long long call_linkspan_connection_pause(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_pause(connection);
}

static inline long long call_linkspan_connection_resume(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_resume(connection);
}

static inline long long call_linkspan_connection_ready_state(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_ready_state(connection);
}

static inline long long call_linkspan_connection_buffered_amount(linkspan_connection connection) {
    (void)connection;
    return (long long)linkspan_connection_buffered_amount(connection);
}

static inline long long call_linkspan_connection_url(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_url(connection, call_buffer, sizeof call_buffer, &call_size);
}

static inline long long call_linkspan_connection_protocol(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_protocol(connection, call_buffer, sizeof call_buffer, &call_size);
}

static inline long long call_linkspan_connection_extensions(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_extensions(connection, call_buffer, sizeof call_buffer, &call_size);
}

static inline long long call_linkspan_connection_peer(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_peer(connection, call_buffer, sizeof call_buffer, &call_size);
}

static inline long long call_linkspan_connection_peer_certificate(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_peer_certificate(connection, &call_pointer, &call_size);
}

static inline long long call_linkspan_connection_response_status(linkspan_connection connection) {
    (void)connection;
    return (long long)linkspan_connection_response_status(connection);
}

static inline long long call_linkspan_connection_response_header(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_response_header(connection, "x", call_buffer, sizeof call_buffer, &call_size);
}

static inline long long call_linkspan_connection_response_header_at(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_response_header_at(connection, 0, &call_text, &call_text);
}

static inline long long call_linkspan_connection_response_body(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_response_body(connection, &call_pointer, &call_size);
}

static inline long long call_linkspan_connection_close_info(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_close_info(connection, &call_info);
}

static inline long long call_linkspan_connection_user(linkspan_connection connection) {
    (void)connection;
    return (long long)(size_t)linkspan_connection_user(connection);
}

static inline long long call_linkspan_connection_set_user(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_set_user(connection, NULL);
}

static inline long long call_linkspan_connection_on_open(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_open(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_message(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_message(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_message_begin(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_message_begin(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_message_part(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_message_part(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_message_end(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_message_end(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_ping(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_ping(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_pong(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_pong(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_drained(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_drained(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_close_requested(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_close_requested(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_error(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_error(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_close(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_close(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_on_reconnect(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_on_reconnect(connection, NULL, NULL);
}

static inline long long call_linkspan_connection_subscribe(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_subscribe(connection, "x", 1);
}

static inline long long call_linkspan_connection_unsubscribe(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_unsubscribe(connection, "x", 1);
}

static inline long long call_linkspan_connection_publish(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_publish(connection, "x", 1, LINKSPAN_TEXT, "x", 1);
}

static inline long long call_linkspan_connection_dropped(linkspan_connection connection) {
    (void)connection;
    return (long long)linkspan_connection_dropped(connection);
}

static inline long long call_linkspan_loop_adopt(linkspan_connection connection) {
    (void)connection;
    return linkspan_loop_adopt(call_loop, &call_transport, NULL, NULL);
}

static inline long long call_linkspan_loop_adopt_fd(linkspan_connection connection) {
    (void)connection;
    return linkspan_loop_adopt_fd(call_loop, call_fd(), NULL, NULL);
}

static inline long long call_linkspan_connection_ready(linkspan_connection connection) {
    (void)connection;
    return linkspan_connection_ready(connection);
}

static const struct call calls[] = {
    {"linkspan_request_accept", 1, 1, 1, 0, call_linkspan_request_accept},
    {"linkspan_request_reject", 1, 1, 1, 0, call_linkspan_request_reject},
    {"linkspan_request_defer", 1, 0, 1, 0, call_linkspan_request_defer},
    {"linkspan_loop_fd", 0, 0, 0, -1, call_linkspan_loop_fd},
    {"linkspan_loop_next_timeout", 0, 0, 0, -1, call_linkspan_loop_next_timeout},
    {"linkspan_loop_is_stopping", 0, 0, 0, true, call_linkspan_loop_is_stopping},
    {"linkspan_connect", 0, 0, 1, 0, call_linkspan_connect},
    {"linkspan_connection_send_text", 1, 1, 1, 0, call_linkspan_connection_send_text},
    {"linkspan_connection_send_binary", 1, 1, 1, 0, call_linkspan_connection_send_binary},
    {"linkspan_connection_send", 1, 1, 1, 0, call_linkspan_connection_send},
    {"linkspan_connection_send_fragment", 1, 1, 1, 0, call_linkspan_connection_send_fragment},
    {"linkspan_connection_send_owned", 1, 1, 1, 0, call_linkspan_connection_send_owned},
    {"linkspan_connection_ping", 1, 1, 1, 0, call_linkspan_connection_ping},
    {"linkspan_connection_pong", 1, 1, 1, 0, call_linkspan_connection_pong},
    {"linkspan_connection_close", 1, 1, 1, 0, call_linkspan_connection_close},
    {"linkspan_connection_abort", 1, 1, 1, 0, call_linkspan_connection_abort},
    {"linkspan_connection_pause", 1, 1, 1, 0, call_linkspan_connection_pause},
    {"linkspan_connection_resume", 1, 1, 1, 0, call_linkspan_connection_resume},
    {"linkspan_connection_ready_state", 1, 1, 0, LINKSPAN_STATE_CLOSED, call_linkspan_connection_ready_state},
    {"linkspan_connection_buffered_amount", 1, 1, 0, 0, call_linkspan_connection_buffered_amount},
    {"linkspan_connection_url", 1, 0, 1, 0, call_linkspan_connection_url},
    {"linkspan_connection_protocol", 1, 0, 1, 0, call_linkspan_connection_protocol},
    {"linkspan_connection_extensions", 1, 0, 1, 0, call_linkspan_connection_extensions},
    {"linkspan_connection_peer", 1, 0, 1, 0, call_linkspan_connection_peer},
    {"linkspan_connection_peer_certificate", 1, 0, 1, 0, call_linkspan_connection_peer_certificate},
    {"linkspan_connection_response_status", 1, 0, 0, 0, call_linkspan_connection_response_status},
    {"linkspan_connection_response_header", 1, 0, 1, 0, call_linkspan_connection_response_header},
    {"linkspan_connection_response_header_at", 1, 0, 1, 0, call_linkspan_connection_response_header_at},
    {"linkspan_connection_response_body", 1, 0, 1, 0, call_linkspan_connection_response_body},
    {"linkspan_connection_close_info", 1, 0, 1, 0, call_linkspan_connection_close_info},
    {"linkspan_connection_user", 1, 0, 0, 0, call_linkspan_connection_user},
    {"linkspan_connection_set_user", 1, 0, 1, 0, call_linkspan_connection_set_user},
    {"linkspan_connection_on_open", 1, 0, 1, 0, call_linkspan_connection_on_open},
    {"linkspan_connection_on_message", 1, 0, 1, 0, call_linkspan_connection_on_message},
    {"linkspan_connection_on_message_begin", 1, 0, 1, 0, call_linkspan_connection_on_message_begin},
    {"linkspan_connection_on_message_part", 1, 0, 1, 0, call_linkspan_connection_on_message_part},
    {"linkspan_connection_on_message_end", 1, 0, 1, 0, call_linkspan_connection_on_message_end},
    {"linkspan_connection_on_ping", 1, 0, 1, 0, call_linkspan_connection_on_ping},
    {"linkspan_connection_on_pong", 1, 0, 1, 0, call_linkspan_connection_on_pong},
    {"linkspan_connection_on_drained", 1, 0, 1, 0, call_linkspan_connection_on_drained},
    {"linkspan_connection_on_close_requested", 1, 0, 1, 0, call_linkspan_connection_on_close_requested},
    {"linkspan_connection_on_error", 1, 0, 1, 0, call_linkspan_connection_on_error},
    {"linkspan_connection_on_close", 1, 0, 1, 0, call_linkspan_connection_on_close},
    {"linkspan_connection_on_reconnect", 1, 0, 1, 0, call_linkspan_connection_on_reconnect},
    {"linkspan_connection_subscribe", 1, 1, 1, 0, call_linkspan_connection_subscribe},
    {"linkspan_connection_unsubscribe", 1, 1, 1, 0, call_linkspan_connection_unsubscribe},
    {"linkspan_connection_publish", 1, 1, 1, 0, call_linkspan_connection_publish},
    {"linkspan_connection_dropped", 1, 1, 0, 0, call_linkspan_connection_dropped},
    {"linkspan_loop_adopt", 0, 0, 1, 0, call_linkspan_loop_adopt},
    {"linkspan_loop_adopt_fd", 0, 0, 1, 0, call_linkspan_loop_adopt_fd},
    {"linkspan_connection_ready", 1, 1, 1, 0, call_linkspan_connection_ready},
};

#endif
