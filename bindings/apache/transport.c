/* transport.c: Apache's connection filters as a stream that a loop drives. No call here waits, but for an HTTP/2
 * stream's, which has a thread of its own. All calls of one socket come from one thread: mod_ssl reads while it
 * writes, and the other way round. */
#include "mod_linkspan.h"

#include <http_ssl.h>
#include <util_filter.h>

/* More than 64 KB in the core's output filter makes it wait for the peer. */
#define MOST_IN_FLIGHT (32 << 10)
/* What a peer may still say after both sides have closed. */
#define MOST_DRAINED (1 << 20)

/* After our end: what the peer still sends is thrown away, past the filters. */
static int64_t drain(ls_socket *socket, char *buffer, size_t bytes)
{
    for (;;) {
        apr_size_t n = bytes;
        apr_status_t status = apr_socket_recv(ap_get_conn_socket(socket->c), buffer, &n);
        if (APR_STATUS_IS_EAGAIN(status) || APR_STATUS_IS_TIMEUP(status)) {
            return LINKSPAN_TRANSPORT_AGAIN;
        }
        if (status != APR_SUCCESS || n == 0) {
            return 0;
        }
        socket->drained += n;
        if (socket->drained > MOST_DRAINED) {
            return LINKSPAN_TRANSPORT_FAILED;
        }
    }
}

/* What one read has brought; 0 at the end of the stream; AGAIN for neither. */
static int64_t take(ls_socket *socket, char *buffer, size_t bytes)
{
    size_t taken = 0;
    int has_ended = 0;
    for (apr_bucket *bucket = APR_BRIGADE_FIRST(socket->in); bucket != APR_BRIGADE_SENTINEL(socket->in);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t n;
        if (APR_BUCKET_IS_EOS(bucket)) {
            /* An HTTP/2 request ends before its tunnel begins. */
            has_ended = !socket->is_tunnel || socket->has_begun;
            socket->has_begun = 1;
            continue;
        }
        if (APR_BUCKET_IS_METADATA(bucket)) {
            continue;
        }
        if (apr_bucket_read(bucket, &data, &n, APR_NONBLOCK_READ) != APR_SUCCESS || n > bytes - taken) {
            return LINKSPAN_TRANSPORT_FAILED;
        }
        memcpy(buffer + taken, data, n);
        taken += n;
    }
    if (taken) {
        socket->has_begun = 1;
        return (int64_t)taken;
    }
    return has_ended ? 0 : LINKSPAN_TRANSPORT_AGAIN;
}

static int64_t filters_read(ls_socket *socket, char *buffer, size_t bytes)
{
    /* Only the filters know that there is nothing, and then the descriptor tells of more: a read that has brought
     * marks without bytes, as the first of an HTTP/2 stream does, says nothing about what stands behind them. */
    for (;;) {
        apr_status_t status = ap_get_brigade(socket->c->input_filters, socket->in, AP_MODE_READBYTES,
                                             APR_NONBLOCK_READ, (apr_off_t)bytes);
        /* A plain stream's end shows as nothing first, and as the end on the next call: the loop calls again. */
        int is_nothing = APR_STATUS_IS_EAGAIN(status) || (status == APR_SUCCESS && APR_BRIGADE_EMPTY(socket->in));
        int64_t taken = is_nothing                  ? LINKSPAN_TRANSPORT_AGAIN
                        : status == APR_SUCCESS     ? take(socket, buffer, bytes)
                        : APR_STATUS_IS_EOF(status) ? 0
                                                    : LINKSPAN_TRANSPORT_FAILED;
        apr_brigade_cleanup(socket->in);
        if (is_nothing || taken != LINKSPAN_TRANSPORT_AGAIN) {
            return taken;
        }
    }
}

static int64_t transport_read(void *user, void *buffer, size_t bytes)
{
    ls_socket *socket = user;
    if (socket->is_ended) {
        return drain(socket, buffer, bytes);
    }
    return socket->is_plain ? ls_plain_read(socket, buffer, bytes) : filters_read(socket, buffer, bytes);
}

/* Lets the network filter write what it holds, as the event MPM does for a response. */
static int64_t transport_flush(void *user)
{
    ls_socket *socket = user;
    conn_rec *c = socket->c;
    if (socket->is_tunnel || socket->is_ended) {
        return 0;
    }
    ap_filter_t *filter = c->output_filters;
    while (filter->next) {
        filter = filter->next;
    }
    apr_status_t status = filter->frec->filter_func.out_func(filter, NULL);
    if (status != APR_SUCCESS || c->aborted) {
        return LINKSPAN_TRANSPORT_FAILED;
    }
    return c->data_in_output_filters ? LINKSPAN_TRANSPORT_AGAIN : 0;
}

static int pass(ls_socket *socket)
{
    apr_status_t status = ap_pass_brigade(socket->c->output_filters, socket->out);
    apr_brigade_cleanup(socket->out);
    return status == APR_SUCCESS && !socket->c->aborted;
}

static int64_t transport_write(void *user, const linkspan_slice *slices, size_t count)
{
    ls_socket *socket = user;
    conn_rec *c = socket->c;
    if (c->aborted || socket->is_ended) {
        return LINKSPAN_TRANSPORT_FAILED;
    }
    if (socket->is_plain) {
        return ls_plain_write(socket, slices, count);
    }
    if (c->data_in_output_filters && !socket->is_tunnel) {
        int64_t left = transport_flush(user);
        if (left) {
            return left;
        }
    }
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < MOST_IN_FLIGHT; i++) {
        size_t n = slices[i].bytes;
        n = n < MOST_IN_FLIGHT - taken ? n : MOST_IN_FLIGHT - taken;
        APR_BRIGADE_INSERT_TAIL(socket->out, apr_bucket_transient_create(slices[i].data, n, c->bucket_alloc));
        taken += n;
    }
    if (socket->is_tunnel) {
        APR_BRIGADE_INSERT_TAIL(socket->out, apr_bucket_flush_create(c->bucket_alloc));
    }
    if (!pass(socket)) {
        return LINKSPAN_TRANSPORT_FAILED;
    }
    socket->written += taken;
    return (int64_t)taken;
}

/* What to wait on; negative for an HTTP/2 stream that has ended with its request: nothing will come. */
static int descriptor_of(conn_rec *c)
{
    apr_os_file_t file;
    apr_os_sock_t descriptor;
    apr_pollfd_t pollfd = {.p = c->pool, .desc_type = APR_POLL_SOCKET, .desc.s = ap_get_conn_socket(c)};
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 129)
    /* Before 2.4.58 there are no WebSockets over HTTP/2, and every connection has a socket of its own. */
    if (ap_get_pollfd_from_conn(c, &pollfd, NULL) != APR_SUCCESS) {
        return -1;
    }
#endif
    if (pollfd.desc_type == APR_POLL_FILE) {
        return apr_os_file_get(&file, pollfd.desc.f) ? -1 : file;
    }
    return pollfd.desc_type != APR_POLL_SOCKET || apr_os_sock_get(&descriptor, pollfd.desc.s) ? -1 : descriptor;
}

linkspan_transport ls_transport(ls_socket *socket, void (*shutdown_write)(void *), void (*close)(void *))
{
    conn_rec *c = socket->c;
    int fd = descriptor_of(c);
    linkspan_transport table = {
        .size = sizeof table,
        .user = socket,
        .read = transport_read,
        .write = transport_write,
        .flush = transport_flush,
        .shutdown_write = shutdown_write,
        .close = close,
        .peer = c->client_ip,
        .has_fd = fd >= 0,
        .fd = fd,
        .secure = ap_ssl_conn_is_ssl(c),
    };
    if (fd >= 0 && !socket->is_tunnel && ls_is_plain(c)) {
        socket->fd = fd;
        socket->is_plain = table.short_read_drains = 1;
        table.flush = NULL;
    }
    socket->in = apr_brigade_create(c->pool, c->bucket_alloc);
    socket->out = apr_brigade_create(c->pool, c->bucket_alloc);
    return table;
}

void ls_transport_end_request(ls_socket *socket)
{
    request_rec *r = socket->r;
    if (r == NULL) {
        return;
    }
    socket->r = NULL;
    APR_BRIGADE_INSERT_TAIL(socket->out, ap_bucket_eor_create(socket->c->bucket_alloc, r));
    pass(socket);
}

int64_t ls_transport_take(ls_socket *socket, char *buffer, size_t bytes)
{
    size_t taken = 0;
    while (taken < bytes) {
        int64_t n = filters_read(socket, buffer + taken, bytes - taken);
        /* An end that follows bytes shows again. */
        if (n == LINKSPAN_TRANSPORT_AGAIN || (n <= 0 && taken)) {
            break;
        }
        if (n <= 0) {
            return LINKSPAN_TRANSPORT_FAILED;
        }
        taken += (size_t)n;
    }
    return (int64_t)taken;
}
