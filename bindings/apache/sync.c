/* sync.c: the worker that has the request carries the socket to its end, with a loop of its own: on the worker and
 * prefork MPMs, for the streams of HTTP/2, and where LinkspanMode says so. */
#include "mod_linkspan.h"

#include <signal.h>

/* A process without threads hears of its end only between two turns. */
#define LOOK_AGAIN_MS 250

typedef struct carried {
    linkspan_loop *loop;
    struct carried *next;
} carried;

static apr_thread_mutex_t *lock;
static carried *all;
static int has_put_off; /* signals, of a process without threads */

static void ended(void *user)
{
    ((ls_socket *)user)->is_ended = 1;
}

static void closed(void *user)
{
    ((ls_socket *)user)->is_ended = 1;
    ((ls_socket *)user)->is_closed = 1;
}

void ls_sync_init(apr_pool_t *pool)
{
    all = NULL;
    apr_thread_mutex_create(&lock, APR_THREAD_MUTEX_DEFAULT, pool);
}

static void enter(carried *one)
{
    apr_thread_mutex_lock(lock);
    one->next = all;
    all = one;
    apr_thread_mutex_unlock(lock);
}

static void leave(carried *one)
{
    apr_thread_mutex_lock(lock);
    carried **at = &all;
    while (*at != one) {
        at = &(*at)->next;
    }
    *at = one->next;
    apr_thread_mutex_unlock(lock);
}

void ls_sync_stop(apr_uint64_t deadline_ms)
{
    apr_thread_mutex_lock(lock);
    for (carried *one = all; one; one = one->next) {
        linkspan_loop_shutdown(one->loop, 1001, NULL, 0, deadline_ms);
    }
    apr_thread_mutex_unlock(lock);
}

linkspan_status ls_sync_publish(const void *topic, size_t topic_bytes, linkspan_message_kind kind, const void *data,
                                size_t bytes)
{
    linkspan_status worst = LINKSPAN_OK;
    apr_thread_mutex_lock(lock);
    for (carried *one = all; one; one = one->next) {
        linkspan_status status = linkspan_loop_publish(one->loop, topic, topic_bytes, kind, data, bytes);
        worst = status < worst ? status : worst;
    }
    apr_thread_mutex_unlock(lock);
    return worst;
}

/* A process without threads is told by a signal whose handler ends it at once. The signal waits until the socket
 * is closed and logged. */
static void mask(int how)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(how, &ends, NULL);
}

int ls_sync_pre_close(conn_rec *c)
{
    (void)c;
    if (has_put_off) {
        has_put_off = 0;
        mask(SIG_UNBLOCK);
    }
    return OK;
}

static int is_ordered_to_stop(void)
{
    int state = AP_MPMQ_RUNNING;
    sigset_t waiting;
    sigpending(&waiting);
    ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    return state == AP_MPMQ_STOPPING || sigismember(&waiting, SIGTERM) || sigismember(&waiting, SIGHUP);
}

static void run(ls_socket *socket, linkspan_loop *loop)
{
    int is_alone = !ls_this_child.is_threaded;
    static const char why[] = "idle";
    while (!socket->is_ended || socket->holds) {
        int64_t wait = is_alone ? LOOK_AGAIN_MS : socket->idle_timeout ? 1000 : -1;
        if (linkspan_loop_run_once(loop, wait)) {
            break;
        }
        if (is_alone && !ls_this_child.is_stopping && is_ordered_to_stop()) {
            ls_child_stopping(NULL, 1);
        }
        if (socket->idle_timeout && ls_socket_silence(socket, apr_time_now()) >= socket->idle_timeout) {
            linkspan_connection_close(socket->connection, 1001, why, sizeof why - 1);
        }
    }
}

int ls_sync(ls_socket *socket)
{
    request_rec *r = socket->r;
    conn_rec *c = socket->c;
    apr_interval_time_t timeout = 0;
    carried one = {.loop = socket->loop};
    if (!socket->is_tunnel) {
        apr_socket_timeout_get(ap_get_conn_socket(c), &timeout);
        apr_socket_timeout_set(ap_get_conn_socket(c), 0);
    }
    if (socket->access_log != LS_LOG_END) {
        ls_log_upgrade(r, socket->access_log == LS_LOG_UPGRADE);
    }
    if (!ls_this_child.is_threaded) {
        mask(SIG_BLOCK);
        has_put_off = 1;
    }
    linkspan_transport transport = ls_transport(socket, ended, closed);
    enter(&one);
    if (!ls_socket_adopt(socket, one.loop, &transport)) {
        run(socket, one.loop);
    }
    leave(&one);
    /* Its cleanup frees it: the request's other cleanups come after everything on it has ended. */
    apr_pool_cleanup_run(r->pool, one.loop, ls_free_loop);
    ls_socket_gone(socket);
    if (!socket->is_tunnel) {
        apr_socket_timeout_set(ap_get_conn_socket(c), timeout);
    }
    ls_log_notes(socket, r);
    /* Apache ends the stream: it logs, says goodbye, and lingers. */
    return DONE;
}
