/* handler.c: what LinkspanHandler names, and the smallest of them: echo. */
#include "mod_linkspan.h"

/* Of the configuration that was read last. */
static ls_handler *handlers;

static void echo(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data, size_t bytes)
{
    /* Who does not read what comes back is not read either. */
    if (ls_socket_send(user, kind, data, bytes) == LINKSPAN_BUFFERED) {
        linkspan_connection_pause(connection);
    }
}

static void read_again(void *user, linkspan_connection connection)
{
    (void)user;
    linkspan_connection_resume(connection);
}

static const char *make_echo(cmd_parms *cmd, ls_handler *handler, char *const argv[])
{
    static const linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_message = echo, .on_drained = read_again};
    (void)cmd;
    (void)argv;
    handler->callbacks = &callbacks;
    return NULL;
}

static const struct {
    const char *kind;
    int words; /* behind it */
    const char *usage;
    const char *(*make)(cmd_parms *cmd, ls_handler *handler, char *const argv[]);
} kinds[] = {
    {"echo", 0, "echo", make_echo},
    {"topic", 1, "topic NAME", ls_topic_make},
    {"plugin", 2, "plugin FILE SYMBOL", ls_plugin_make},
    {"websocket-plugin", 2, "websocket-plugin FILE SYMBOL", ls_websocket_plugin_make},
    {"tunnel", 1, "tunnel ws://HOST/PATH or tunnel unix:FILE", ls_tunnel_make},
};

/* Kinds of other modules. */
APR_IMPLEMENT_OPTIONAL_HOOK_RUN_ALL(linkspan, LINKSPAN, int, make_handler,
                                    (cmd_parms * cmd, ls_handler *handler, int argc, char *const argv[], const char **wrong),
                                    (cmd, handler, argc, argv, wrong), OK, DECLINED)

static const char *usage(apr_pool_t *pool)
{
    const char *all = "LinkspanHandler is ";
    size_t count = sizeof kinds / sizeof *kinds;
    for (size_t i = 0; i < count; i++) {
        all = apr_pstrcat(pool, all, kinds[i].usage, i + 2 < count ? ", " : i + 1 < count ? ", or " : "", NULL);
    }
    return all;
}

static const char *make(cmd_parms *cmd, ls_handler *handler, int argc, char *const argv[])
{
    const char *wrong = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (argc == kinds[i].words + 1 && !strcasecmp(argv[0], kinds[i].kind)) {
            handler->kind = kinds[i].kind;
            return kinds[i].make(cmd, handler, argv + 1);
        }
    }
    if (argc > 0 && linkspan_run_make_handler(cmd, handler, argc, argv, &wrong) == DONE) {
        return wrong;
    }
    if (argc > 0 && !strcasecmp(argv[0], "python")) {
        return "LinkspanHandler python needs mod_linkspan_python.so: LoadModule linkspan_python_module ... before it";
    }
    return usage(cmd->pool);
}

const char *ls_handler_make(cmd_parms *cmd, int argc, char *const argv[], const ls_handler **made)
{
    ls_handler *handler = apr_pcalloc(cmd->pool, sizeof *handler);
    handler->where = apr_psprintf(cmd->pool, "%s:%d", cmd->directive->filename, cmd->directive->line_num);
    const char *wrong = make(cmd, handler, argc, argv);
    if (wrong) {
        return wrong;
    }
    handler->next = handlers;
    handlers = handler;
    *made = handler;
    return NULL;
}

int ls_handlers_forget(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary)
{
    (void)pool;
    (void)log;
    (void)temporary;
    handlers = NULL;
    return OK;
}

int ls_handlers_are_named(void)
{
    return handlers != NULL;
}

void ls_forget(const ls_handler *handler, void *cookie)
{
    if (handler->forget) {
        handler->forget(handler, cookie);
    }
}

void ls_handlers_start(apr_pool_t *child, server_rec *server)
{
    for (ls_handler *handler = handlers; handler; handler = handler->next) {
        const char *why = handler->start ? handler->start(handler, child) : NULL;
        if (why) {
            handler->has_failed = 1;
            ap_log_error(APLOG_MARK, APLOG_CRIT, 0, server, "linkspan: %s: LinkspanHandler %s can not start: %s",
                         handler->where, handler->kind, why);
        }
    }
}
