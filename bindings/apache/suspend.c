/* suspend.c: the event MPM keeps the connection, no worker has it, and a loop's thread drives its filters.
 *
 *     worker          handler returns SUSPENDED -> hook: the thread gets it
 *     loop's thread   adopt -> ... -> our end: log, close_notify, FIN -> their end: close -> the pool is freed
 */
#include "mod_linkspan.h"

#include <sched.h>

/* What a connection's own store may keep: nothing when its request ends, enough for messages later. */
#define NOTHING_FREE 1
#define SOME_FREE (16 << 10)

/* Our half ends: the request is over, and logged; TLS says goodbye. What is pending has left already. */
static void end(void *user)
{
    ls_socket *socket = user;
    if (!socket->is_ended) {
        if (socket->r) {
            ls_log_notes(socket, socket->r);
        }
        ls_transport_end_request(socket);
        socket->is_ended = 1;
        ap_start_lingering_close(socket->c);
    }
}

static void closed(void *user)
{
    ls_socket *socket = user;
    ls_io *io = socket->io;
    end(user);
    ls_io_leave(io, socket);
    ls_socket_gone(socket);
    ls_io_bury(io, socket);
}

static void adopt(void *user)
{
    ls_socket *socket = user;
    conn_rec *c = socket->c;
    /* The worker writes this last but one, after our hook. */
    while (*(void *volatile *)&c->sbh) {
        sched_yield();
    }
    /* Should a filter want to wait for the peer, it fails instead. */
    apr_socket_timeout_set(ap_get_conn_socket(c), 0);
    linkspan_transport transport = ls_transport(socket, end, closed);
    if (socket->access_log == LS_LOG_UPGRADE) {
        apr_allocator_t *store = apr_pool_allocator_get(c->pool);
        apr_allocator_max_free_set(store, NOTHING_FREE);
        ls_transport_end_request(socket);
        apr_allocator_max_free_set(store, SOME_FREE);
    }
    else if (socket->access_log == LS_LOG_BOTH) {
        ls_log_upgrade(socket->r, 0);
    }
    ls_io_enter(socket->io, socket);
    ls_socket_adopt(socket, socket->io->loop, &transport);
}

int ls_suspend(ls_socket *socket)
{
    ap_set_module_config(socket->c->conn_config, &linkspan_module, socket);
    return SUSPENDED;
}

void ls_suspended(conn_rec *c, request_rec *r)
{
    (void)r;
    ls_socket *socket = ap_get_module_config(c->conn_config, &linkspan_module);
    /* The hook tells of connections that wait for other reasons too. */
    if (!socket || c->cs->state != CONN_STATE_SUSPENDED || socket->is_handed_over) {
        return;
    }
    socket->is_handed_over = 1;
    linkspan_loop_post(socket->io->loop, adopt, socket);
}
