/* plain.c: a stream in front of which stand none but Apache's own filters, which would pass its bytes on as they are:
 * they are read and written past them, and counted for mod_logio as the core does. */
#include "mod_linkspan.h"

#include <http_ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <util_filter.h>

/* Most that one call is given. */
#define MOST_SLICES 16

APR_DECLARE_OPTIONAL_FN(void, ap_logio_add_bytes_in, (conn_rec *c, apr_off_t bytes));
APR_DECLARE_OPTIONAL_FN(void, ap_logio_add_bytes_out, (conn_rec *c, apr_off_t bytes));

static APR_OPTIONAL_FN_TYPE(ap_logio_add_bytes_in) *count_in;
static APR_OPTIONAL_FN_TYPE(ap_logio_add_bytes_out) *count_out;

void ls_plain_init(void)
{
    count_in = APR_RETRIEVE_OPTIONAL_FN(ap_logio_add_bytes_in);
    count_out = APR_RETRIEVE_OPTIONAL_FN(ap_logio_add_bytes_out);
}

/* A filter that nobody here knows could miss something, or hold it. */
static int is_known(const ap_filter_t *filter)
{
    static const char *const known[] = {"core", "core_in", "reqtimeout", "log_input_output"};
    for (; filter; filter = filter->next) {
        int is_found = 0;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            is_found |= !strcmp(filter->frec->name, known[i]);
        }
        if (!is_found) {
            return 0;
        }
    }
    return 1;
}

int ls_is_plain(const conn_rec *c)
{
    return !ap_ssl_conn_is_ssl((conn_rec *)c) && is_known(c->input_filters) && is_known(c->output_filters);
}

int64_t ls_plain_read(ls_socket *socket, char *buffer, size_t bytes)
{
    if (!socket->is_bare) {
        /* The core's filter has read ahead. */
        int64_t taken = ls_transport_take(socket, buffer, bytes);
        socket->is_bare = taken < (int64_t)bytes;
        if (taken > 0) {
            return taken;
        }
    }
    ssize_t n;
    do {
        n = recv(socket->fd, buffer, bytes, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? LINKSPAN_TRANSPORT_AGAIN : LINKSPAN_TRANSPORT_FAILED;
    }
    if (count_in) {
        count_in(socket->c, n);
    }
    return n;
}

int64_t ls_plain_write(ls_socket *socket, const linkspan_slice *slices, size_t count)
{
    struct iovec vector[MOST_SLICES];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count < MOST_SLICES ? count : MOST_SLICES};
    for (size_t i = 0; i < message.msg_iovlen; i++) {
        vector[i] = (struct iovec){.iov_base = (void *)slices[i].data, .iov_len = slices[i].bytes};
    }
    ssize_t n;
    do {
        n = count == 1 ? send(socket->fd, vector->iov_base, vector->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : sendmsg(socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return LINKSPAN_TRANSPORT_AGAIN;
    }
    if (n < 0) {
        socket->c->aborted = 1;
        return LINKSPAN_TRANSPORT_FAILED;
    }
    if (count_out) {
        count_out(socket->c, n);
    }
    socket->written += (apr_uint64_t)n;
    return n;
}
