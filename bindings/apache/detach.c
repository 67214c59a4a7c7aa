/* detach.c: a plain socket leaves Apache: the loop gets a descriptor of its own, and Apache closes only its copy. */
#include "mod_linkspan.h"

#include <fcntl.h>

/* More than this has come already: there may be more in the filters. */
#define MOST_UNREAD (16 << 10)

static void adopt(void *user)
{
    ls_socket *socket = user;
    ls_socket_adopt(socket, socket->io->loop, NULL);
}

static apr_status_t give_back(void *socket)
{
    free(socket);
    return APR_SUCCESS;
}

/* Nothing came of it: Apache closes the connection. */
static int give_up(ls_socket *socket)
{
    ls_forget(socket->handler, socket->cookie);
    linkspan_handshake_free(socket->handshake);
    free(socket->unread);
    ls_socket_gone(socket);
    free(socket);
    return DONE;
}

int ls_detach(ls_socket *socket)
{
    conn_rec *c = socket->c;
    char unread[MOST_UNREAD];
    apr_os_sock_t fd;
    (void)ls_transport(socket, NULL, NULL);
    int64_t bytes = ls_transport_take(socket, unread, sizeof unread);
    if (bytes < 0 || apr_os_sock_get(&fd, ap_get_conn_socket(c))) {
        return give_up(socket);
    }
    if (bytes) {
        socket->unread = malloc((size_t)bytes);
        if (!socket->unread) {
            return give_up(socket);
        }
        memcpy(socket->unread, unread, (size_t)bytes);
        socket->unread_bytes = (size_t)bytes;
    }
    if (bytes == sizeof unread) {
        apr_pool_cleanup_register(c->pool, socket, give_back, apr_pool_cleanup_null);
        ls_count_open(LS_DETACHED, -1);
        ls_count_open(LS_SUSPENDED, 1);
        socket->way = LS_SUSPENDED;
        return ls_suspend(socket);
    }
    socket->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (socket->fd < 0) {
        ap_log_cerror(APLOG_MARK, APLOG_ERR, errno, c, "linkspan: no descriptor for a detached socket");
        return give_up(socket);
    }
    /* Apache's copy is closed without a word to the peer. */
    c->aborted = 1;
    socket->c = NULL;
    socket->r = NULL;
    linkspan_loop_post(socket->io->loop, adopt, socket);
    return DONE;
}
