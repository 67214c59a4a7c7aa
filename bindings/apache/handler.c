/* handler.c: what LinkspanHandler names. */
#include "mod_linkspan.h"

/* Of the configuration that was read last. */
static ls_handler *handlers;

int ls_handlers_forget(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary)
{
    (void)pool;
    (void)log;
    (void)temporary;
    handlers = NULL;
    return OK;
}

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

const linkspan_callbacks ls_echo = {.size = sizeof ls_echo, .on_message = echo, .on_drained = read_again};

const char *ls_handler_make(cmd_parms *cmd, int argc, char *const argv[], const ls_handler **made)
{
    if (argc != 1 || strcasecmp(argv[0], "echo")) {
        return "LinkspanHandler is echo";
    }
    ls_handler *handler = apr_pcalloc(cmd->pool, sizeof *handler);
    handler->kind = "echo";
    handler->callbacks = &ls_echo;
    handler->next = handlers;
    handlers = handler;
    *made = handler;
    return NULL;
}

int ls_handlers_are_named(void)
{
    return handlers != NULL;
}

void ls_handlers_start(apr_pool_t *child, server_rec *server)
{
    for (ls_handler *handler = handlers; handler; handler = handler->next) {
        if (handler->start && handler->start(handler, child, server) != APR_SUCCESS) {
            handler->has_failed = 1;
        }
    }
}
