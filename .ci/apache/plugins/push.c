/* Says "tick" to everybody from a thread of its own, a thousand times a second; echoes what it hears. Refuses who asks
 * for "?refuse" in whatever way, gives those who want a wrong answer an odd one, and thinks about "?slow". */
#include <linkspan_apache.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile int is_over;
static pthread_t thread;

static void *tick(void *user)
{
    const linkspan_apache_plugin *plugin = user;
    while (!is_over) {
        struct timespec pause = {0, 1000000};
        plugin->publish("ticks", 5, LINKSPAN_TEXT, "tick", 4);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void on_open(void *user, linkspan_connection connection)
{
    (void)user;
    linkspan_connection_subscribe(connection, "ticks", 5);
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes)
{
    (void)user;
    linkspan_connection_send(connection, kind, data, bytes);
}

static int on_request(void *user, const linkspan_request *request, linkspan_accept_options *accept)
{
    static const linkspan_header header = {"X-Plugin", "push"};
    linkspan_text target = linkspan_request_target(request);
    (void)user;
    accept->headers = &header;
    accept->header_count = 1;
    if (target.bytes > 5 && !memcmp(target.data + target.bytes - 5, "?slow", 5))
        nanosleep(&(struct timespec){0, 300000000}, NULL);
    if (target.bytes > 7 && !memcmp(target.data + target.bytes - 7, "?refuse", 7))
        return 402;
    return target.bytes > 4 && !memcmp(target.data + target.bytes - 4, "?odd", 4) ? 7 : 101;
}

static void on_end(void *user)
{
    (void)user;
    is_over = 1;
    pthread_join(thread, NULL);
}

int push(linkspan_apache_plugin *plugin)
{
    plugin->user = plugin;
    plugin->callbacks.on_open = on_open;
    plugin->callbacks.on_message = on_message;
    plugin->on_request = on_request;
    plugin->on_end = on_end;
    return pthread_create(&thread, NULL, tick, plugin);
}

int fails(linkspan_apache_plugin *plugin)
{
    (void)plugin;
    return 42;
}
