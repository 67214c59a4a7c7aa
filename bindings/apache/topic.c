/* topic.c: what one client of the location says, all of them hear; those of this child process. */
#include "mod_linkspan.h"

static void on_open(void *user, linkspan_connection connection)
{
    const ls_handler *handler = ((ls_socket *)user)->handler;
    const char *topic = handler->data;
    linkspan_connection_subscribe(connection, topic, strlen(topic));
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes)
{
    static const char why[] = "too much waits to be published";
    const char *topic = ((ls_socket *)user)->handler->data;
    if (ls_publish(topic, strlen(topic), kind, data, bytes) == LINKSPAN_FULL) {
        linkspan_connection_close(connection, 1013, why, sizeof why - 1);
    }
}

const char *ls_topic_make(cmd_parms *cmd, ls_handler *handler, char *const argv[])
{
    static const linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = on_open, .on_message = on_message};
    if (!*argv[0] || strlen(argv[0]) > 255) {
        return "the name of a topic has 1 to 255 bytes";
    }
    handler->callbacks = &callbacks;
    handler->data = apr_pstrdup(cmd->pool, argv[0]);
    /* Who misses a message would not know: he is ended, and comes again. */
    handler->slow_reader = LINKSPAN_SLOW_CLOSE;
    return NULL;
}

linkspan_status ls_publish(const void *topic, size_t topic_bytes, linkspan_message_kind kind, const void *data,
                           size_t bytes)
{
    linkspan_status worst = LINKSPAN_OK;
    for (int i = 0; i < ls_this_child.io_count; i++) {
        linkspan_status status = linkspan_loop_publish(ls_this_child.io[i].loop, topic, topic_bytes, kind, data, bytes);
        worst = status < worst ? status : worst;
    }
    linkspan_status status = ls_sync_publish(topic, topic_bytes, kind, data, bytes);
    return status < worst ? status : worst;
}
