/* child.c: the threads of a child process that carry suspended and detached sockets, and how they end. */
#include "mod_linkspan.h"

#include <signal.h>

/* A connection that was suspended is not freed before: its worker still writes into it when the hook has returned. */
#define YOUNGEST_GRAVE apr_time_from_sec(1)

ls_child ls_this_child;

ls_io *ls_child_pick(void)
{
    return &ls_this_child.io[apr_atomic_inc32(&ls_this_child.turn) % (apr_uint32_t)ls_this_child.io_count];
}

void ls_io_enter(ls_io *io, ls_socket *socket)
{
    socket->io = io;
    socket->previous = NULL;
    socket->next = io->sockets;
    if (io->sockets) {
        io->sockets->previous = socket;
    }
    io->sockets = socket;
    io->has_idle_timeouts |= socket->idle_timeout != 0;
}

void ls_io_leave(ls_io *io, ls_socket *socket)
{
    if (socket->previous) {
        socket->previous->next = socket->next;
    }
    else {
        io->sockets = socket->next;
    }
    if (socket->next) {
        socket->next->previous = socket->previous;
    }
    socket->previous = socket->next = NULL;
}

/* The MPM counts a suspended connection until its pool goes. */
static void bury_now(ls_socket *socket)
{
    conn_rec *c = socket->c;
    c->cs->state = CONN_STATE_SUSPENDED;
    apr_pool_destroy(c->pool);
}

void ls_io_bury(ls_io *io, ls_socket *socket)
{
    socket->is_closed = 1;
    if (apr_time_now() - socket->begun >= YOUNGEST_GRAVE) {
        bury_now(socket);
        return;
    }
    socket->next = NULL;
    if (io->last_grave) {
        io->last_grave->next = socket;
    }
    else {
        io->first_grave = socket;
    }
    io->last_grave = socket;
}

/* They came in the order of their closing, not of their age: the first may keep older ones waiting, a second at most. */
static void bury(ls_io *io, apr_time_t before)
{
    while (io->first_grave && io->first_grave->begun <= before) {
        ls_socket *socket = io->first_grave;
        io->first_grave = socket->next;
        if (!io->first_grave) {
            io->last_grave = NULL;
        }
        bury_now(socket);
    }
}

/* Once in a second: who has neither said nor been told anything for too long. */
static void close_idle(ls_io *io, apr_time_t now)
{
    static const char why[] = "idle";
    if (!io->has_idle_timeouts || now - io->looked < apr_time_from_sec(1)) {
        return;
    }
    io->looked = now;
    for (ls_socket *socket = io->sockets; socket; socket = socket->next) {
        if (socket->idle_timeout && ls_socket_silence(socket, now) >= socket->idle_timeout) {
            linkspan_connection_close(socket->connection, 1001, why, sizeof why - 1);
        }
    }
}

static void *APR_THREAD_FUNC serve(apr_thread_t *thread, void *data)
{
    ls_io *io = data;
    sigset_t all;
    (void)thread;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        int64_t wait = io->first_grave ? 100 : io->has_idle_timeouts ? 1000 : -1;
        linkspan_loop_run_once(io->loop, wait);
        apr_time_t now = apr_time_now();
        bury(io, now - YOUNGEST_GRAVE);
        close_idle(io, now);
        if (io->is_leaving && linkspan_loop_is_stopping(io->loop)) {
            break;
        }
    }
    /* Who is still there ends now; the workers have gone, so that everything may be freed. */
    linkspan_loop_free(io->loop);
    bury(io, apr_time_now() + YOUNGEST_GRAVE);
    return NULL;
}

apr_uint64_t ls_child_time_left(void)
{
    apr_time_t left = ls_this_child.deadline - apr_time_now();
    return left > 0 ? (apr_uint64_t)apr_time_as_msec(left) : 0;
}

/* Restart, stop, or one child too many: every socket is closed with 1001. */
void ls_child_stopping(apr_pool_t *pool, int is_graceful)
{
    (void)pool;
    (void)is_graceful;
    if (!ls_this_child.pool) {
        return; /* It goes before it has come. */
    }
    if (!apr_atomic_cas32(&ls_this_child.is_stopping, 1, 0)) {
        ls_this_child.deadline = apr_time_now() + ls_server_settings()->graceful_timeout;
    }
    for (int i = 0; i < ls_this_child.io_count; i++) {
        linkspan_loop_shutdown(ls_this_child.io[i].loop, 1001, NULL, 0, ls_child_time_left());
    }
    ls_sync_stop(ls_child_time_left());
}

static void begin_to_leave(void *io)
{
    ((ls_io *)io)->is_leaving = 1;
    linkspan_loop_shutdown(((ls_io *)io)->loop, 1001, NULL, 0, ls_child_time_left());
}

/* Before anything of the process goes: what the threads stand on, OpenSSL for one, is still there. */
static apr_status_t join(void *child)
{
    (void)child;
    ls_child_stopping(NULL, 0);
    for (int i = 0; i < ls_this_child.io_count; i++) {
        ls_io *io = &ls_this_child.io[i];
        apr_status_t status;
        linkspan_loop_post(io->loop, begin_to_leave, io);
        apr_thread_join(&status, io->thread);
    }
    ls_this_child.io_count = 0;
    return APR_SUCCESS;
}

/* A store that one thread uses: it has an allocator of its own. */
static apr_status_t make_store(apr_pool_t **store, apr_pool_t *child)
{
    apr_allocator_t *allocator;
    apr_status_t status = apr_allocator_create(&allocator);
    if (!status && !(status = apr_pool_create_ex(store, child, NULL, allocator))) {
        apr_allocator_owner_set(allocator, *store);
    }
    return status;
}

static void start_threads(apr_pool_t *pool, server_rec *server)
{
    int count = ls_server_settings()->io_threads;
    ls_this_child.io = apr_pcalloc(pool, (size_t)count * sizeof *ls_this_child.io);
    for (int i = 0; i < count; i++) {
        ls_io *io = &ls_this_child.io[i];
        apr_status_t status = APR_EGENERAL;
        if (linkspan_loop_new(&io->loop) || (status = make_store(&io->store, pool)) ||
            (status = ap_thread_create(&io->thread, NULL, serve, io, pool))) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, status, server, "linkspan: no thread for sockets: %s",
                         io->loop ? "the system refuses" : linkspan_last_error());
            linkspan_loop_free(io->loop);
            break;
        }
        ls_this_child.io_count++;
    }
    if (!ls_this_child.io_count) {
        ls_this_child.io = NULL;
    }
    apr_pool_pre_cleanup_register(pool, &ls_this_child, join);
}

void ls_child_init(apr_pool_t *pool, server_rec *server)
{
    ls_this_child = (ls_child){.pool = pool, .server = server};
    ap_mpm_query(AP_MPMQ_IS_THREADED, &ls_this_child.is_threaded);
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &ls_this_child.is_async);
    ls_status_enter();
    ls_log_init(server);
    ls_plain_init();
    ls_sync_init(pool);
    if (ls_this_child.is_async && ls_server_settings()->mode != LS_MODE_SYNC) {
        start_threads(pool, server);
    }
    ls_handlers_start(pool, server);
}
