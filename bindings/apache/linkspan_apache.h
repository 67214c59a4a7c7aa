/* linkspan_apache.h: plugins of mod_linkspan, in C or C++, on the library that the module itself stands on.
 *
 *     LinkspanHandler plugin /usr/lib/chat.so chat
 *
 *     int chat(linkspan_apache_plugin *plugin)
 *     {
 *         plugin->callbacks.on_message = on_message;
 *         return 0;
 *     }
 *
 * Build it as a shared object, with linkspan.h, against liblinkspan.so.1. Everything of linkspan.h may be called.
 * Callbacks must not wait: on the event MPM one thread runs those of all sockets. No exception may leave one.
 */
#ifndef LINKSPAN_APACHE_H
#define LINKSPAN_APACHE_H

#include <linkspan.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the module and a plugin tell each other. The module fills in `size` and what is marked as its own, the plugin
 * the rest; all of it is zero before. New fields go to the end. */
typedef struct linkspan_apache_plugin {
    /* The module's own: how many bytes it knows of. */
    size_t size;
    /* The first argument of every function below. */
    void *user;
    /* What the plugin wants to be told of its sockets. on_request, on_resolve and free_user are not called. Callbacks
     * of different sockets may run at the same time, on several threads, where LinkspanIOThreads is above 1 and
     * where the MPM is not event. */
    linkspan_callbacks callbacks;
    /* A good request, which Apache's own access control has let through: 101 lets it in, an HTTP status from 400 to
     * 599 refuses it, with Apache's ErrorDocument. May fill in `accept`, with texts that live until the function is
     * called again on the same thread. Runs on the worker that has the request. NULL: everybody comes in. */
    int (*on_request)(void *user, const linkspan_request *request, linkspan_accept_options *accept);
    /* The process ends; no other function runs any more. NULL when that is nothing to the plugin. */
    void (*on_end)(void *user);
    /* The module's own: sends a whole message to all sockets of this process that subscribe to a topic
     * (linkspan_connection_subscribe), whatever thread carries them. Any thread. What it returns is as of
     * linkspan_loop_publish. */
    linkspan_status (*publish)(const void *topic, size_t topic_bytes, linkspan_message_kind kind, const void *data,
                               size_t bytes);
    /* The module's own: a line for Apache's error log, which names the plugin's place in the configuration. `plugin` is
     * the table itself. Any thread. */
    void (*log)(const struct linkspan_apache_plugin *plugin, linkspan_log_level level, const char *line);
} linkspan_apache_plugin;

/* The symbol that LinkspanHandler names: called in each child process before its first request, once for each
 * LinkspanHandler line that names it, with a table of its own. Anything but 0
 * means that it cannot start: its locations answer 500. */
typedef int (*linkspan_apache_start)(linkspan_apache_plugin *plugin);

#ifdef __cplusplus
}
#endif

#endif
