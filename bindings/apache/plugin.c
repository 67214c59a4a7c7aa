/* plugin.c: LinkspanHandler plugin FILE SYMBOL; see linkspan_apache.h. */
#include "mod_linkspan.h"

#include <dlfcn.h>

#include "linkspan_apache.h"

/* One for each line; the table is filled in each child. */
typedef struct {
    linkspan_apache_start start;
    const char *where;
    linkspan_apache_plugin table;
    linkspan_callbacks callbacks; /* the module's copy: only what it knows */
} plugin;

/* The configuration is read again: a file that was replaced is loaded anew. Not in a process that serves: threads of the
 * plugin's own may still run in it. */
static apr_status_t unload(void *object)
{
    if (!ls_this_child.pool) {
        dlclose(object);
    }
    return APR_SUCCESS;
}

const char *ls_symbol(cmd_parms *cmd, char *const argv[], void **symbol)
{
    const char *file = ap_server_root_relative(cmd->pool, argv[0]);
    void *object = file ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!object) {
        return apr_pstrcat(cmd->pool, "the plugin can not be loaded: ", file ? dlerror() : argv[0], NULL);
    }
    apr_pool_cleanup_register(cmd->pool, object, unload, apr_pool_cleanup_null);
    *symbol = dlsym(object, argv[1]);
    return *symbol ? NULL : apr_pstrcat(cmd->pool, file, " has no symbol ", argv[1], NULL);
}

static void log_line(const linkspan_apache_plugin *table, linkspan_log_level level, const char *line)
{
    const plugin *one = (const plugin *)(const void *)((const char *)table - offsetof(plugin, table));
    int of_apache = level == LINKSPAN_LOG_ERROR     ? APLOG_ERR
                    : level == LINKSPAN_LOG_WARNING ? APLOG_WARNING
                    : level == LINKSPAN_LOG_INFO    ? APLOG_INFO
                                                    : APLOG_DEBUG;
    ap_log_error(APLOG_MARK, of_apache, 0, ls_this_child.server, "linkspan: the plugin of %s: %s", one->where, line);
}

static apr_status_t end(void *data)
{
    plugin *one = data;
    if (one->table.on_end) {
        one->table.on_end(one->table.user);
    }
    return APR_SUCCESS;
}

static const char *start(ls_handler *handler, apr_pool_t *child)
{
    plugin *one = handler->data;
    one->table.size = sizeof one->table;
    linkspan_callbacks_init(&one->table.callbacks);
    one->table.publish = ls_publish;
    one->table.log = log_line;
    one->where = handler->where;
    int status = one->start(&one->table);
    if (status) {
        return apr_psprintf(child, "its function returned %d", status);
    }
    one->callbacks = one->table.callbacks;
    handler->callbacks = &one->callbacks;
    handler->user = one->table.user;
    handler->has_user = 1;
    /* Before the threads are joined it must not come: they run in the plugin. */
    apr_pool_cleanup_register(child, one, end, apr_pool_cleanup_null);
    return NULL;
}

static int on_request(const ls_handler *handler, request_rec *r, const linkspan_request *request,
                      linkspan_accept_options *accept, void **cookie)
{
    const plugin *one = handler->data;
    (void)r;
    (void)cookie;
    int status = one->table.on_request ? one->table.on_request(one->table.user, request, accept) : HTTP_SWITCHING_PROTOCOLS;
    if (status == HTTP_SWITCHING_PROTOCOLS || (status >= 400 && status < 600)) {
        return status;
    }
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "linkspan: the plugin of %s answers a request with %d: it may be 101, or 400 to 599",
                  handler->where, status);
    return HTTP_INTERNAL_SERVER_ERROR;
}

const char *ls_plugin_make(cmd_parms *cmd, ls_handler *handler, char *const argv[])
{
    static const linkspan_callbacks none = {.size = sizeof none};
    plugin *one = apr_pcalloc(cmd->pool, sizeof *one);
    handler->data = one;
    handler->callbacks = &none;
    handler->start = start;
    handler->on_request = on_request;
    return ls_symbol(cmd, argv, (void **)&one->start);
}
