/* plugin.c: LinkspanHandler plugin FILE SYMBOL; see linkspan_apache.h. */
#include "mod_linkspan.h"

#include <dlfcn.h>

#include "linkspan_apache.h"

/* One for each line; the table is filled in each child. */
typedef struct {
    linkspan_apache_start start;
    linkspan_apache_plugin table;
    linkspan_callbacks callbacks; /* the module's copy: only what it knows */
} plugin;

const char *ls_symbol(cmd_parms *cmd, char *const argv[], void **symbol)
{
    const char *file = ap_server_root_relative(cmd->pool, argv[0]);
    /* It stays: threads of its own may run in it. */
    void *object = file ? dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
    if (!object) {
        return apr_pstrcat(cmd->pool, "the plugin can not be loaded: ", file ? dlerror() : argv[0], NULL);
    }
    *symbol = dlsym(object, argv[1]);
    return *symbol ? NULL : apr_pstrcat(cmd->pool, file, " has no symbol ", argv[1], NULL);
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
