/* limits.c: what in the configuration cuts connections, or forgets something, is said when the server starts, with the
 * numbers and the line. */
#include "mod_linkspan.h"

#include <sys/resource.h>

/* Without a directive; as in the MPM. */
enum { THREADS_PER_CHILD = 25, MAX_WORKERS = 400, MAX_SPARE = 250 };

/* The number of the last such line outside of sections, or what holds without one. */
static double number(const ap_directive_t *tree, const char *name, double otherwise)
{
    for (const ap_directive_t *line = tree; line; line = line->next) {
        if (!strcasecmp(line->directive, name)) {
            otherwise = strtod(line->args, NULL);
        }
        else if (!strcasecmp(line->directive, "<IfModule") || !strcasecmp(line->directive, "<IfDefine")) {
            otherwise = number(line->first_child, name, otherwise);
        }
    }
    return otherwise;
}

static int has(const ap_directive_t *section, const char *name)
{
    for (const ap_directive_t *line = section; line; line = line->next) {
        if (!strcasecmp(line->directive, name)) {
            return 1;
        }
    }
    return 0;
}

/* A section that names us and has no handler; an outer or later one may still give it. */
static void warn_of_lost(apr_pool_t *pool, server_rec *server, const ap_directive_t *tree, int is_handled)
{
    is_handled |= has(tree, "LinkspanHandler");
    for (const ap_directive_t *line = tree; line; line = line->next) {
        const char *args = line->args;
        if (!strcasecmp(line->directive, "SetHandler") && !strcasecmp(ap_getword_conf(pool, &args), "linkspan") &&
            !is_handled) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                         "linkspan: %s:%d: SetHandler linkspan without a LinkspanHandler: requests there get 500 unless "
                         "another section adds one", line->filename, line->line_num);
        }
        if (line->first_child) {
            warn_of_lost(pool, server, line->first_child, is_handled);
        }
    }
}

static void warn_of_event(server_rec *server, int children)
{
    double threads = number(ap_conftree, "ThreadsPerChild", THREADS_PER_CHILD);
    double factor = number(ap_conftree, "AsyncRequestWorkerFactor", 2);
    double workers = number(ap_conftree, "MaxRequestWorkers", number(ap_conftree, "MaxClients", MAX_WORKERS));
    double spare = number(ap_conftree, "MaxSpareThreads", MAX_SPARE);
    double lifetime = number(ap_conftree, "MaxConnectionsPerChild", number(ap_conftree, "MaxRequestsPerChild", 0));
    int most = ls_server_settings()->max_connections;
    double room = threads + threads * factor;
    struct rlimit files;
    if (room < 1000 && (most == 0 || room < most)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "linkspan: a child accepts no more than %.0f connections (ThreadsPerChild %.0f, AsyncRequestWorkerFactor "
                     "%g), open sockets among them, and all %d children %.0f: then plain pages wait too. For 10,000 sockets "
                     "in a child: AsyncRequestWorkerFactor %.0f", room, threads, factor, children, room * children,
                     10000 / threads);
    }
    if (spare < workers) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "linkspan: MaxSpareThreads %.0f is below MaxRequestWorkers %.0f: children that are idle but for their "
                     "sockets are ended, and the sockets with them. Set MaxSpareThreads %.0f", spare, workers, workers);
    }
    if (lifetime > 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "linkspan: MaxConnectionsPerChild %.0f ends a child, and all its sockets, after so many connections. Set "
                     "MaxConnectionsPerChild 0", lifetime);
    }
    double wanted = most ? most + threads : room;
    if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur != RLIM_INFINITY && wanted > (double)files.rlim_cur) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "linkspan: a child may open %lu files, and is to carry up to %.0f connections: raise the limit "
                     "(ulimit -n, LimitNOFILE of systemd) to %.0f", (unsigned long)files.rlim_cur, wanted, wanted + 1000);
    }
}

int ls_limits_check(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *server)
{
    (void)log;
    int is_async = 0, children = 1;
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async);
    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &children);
    if (ls_server_settings()->mode == LS_MODE_ASYNC && !is_async) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, server,
                     "linkspan: LinkspanMode async needs the event MPM; this is %s", ap_show_mpm());
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    /* The first of two readings at a start is for the syntax only. */
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    if (ls_status_share(pool, server) != OK) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    warn_of_lost(temporary, server, ap_conftree, 0);
    if (is_async && ls_handlers_are_named() && ls_server_settings()->mode != LS_MODE_SYNC) {
        warn_of_event(server, children);
    }
    return OK;
}
