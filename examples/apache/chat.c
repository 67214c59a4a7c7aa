/* chat.c: a plugin of mod_linkspan. Whoever connects hears what everybody says, himself too.
 *
 *     <Location /chat>
 *         SetHandler linkspan
 *         LinkspanHandler plugin /path/to/chat.so chat
 *     </Location>
 */
#include <linkspan_apache.h>

static const char room[] = "room";

/* The plugin's own pointer is the module's table: it has the function to publish with. */
static void on_open(void *user, linkspan_connection connection)
{
    (void)user;
    linkspan_connection_subscribe(connection, room, sizeof room - 1);
}

static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes)
{
    const linkspan_apache_plugin *plugin = user;
    (void)connection;
    plugin->publish(room, sizeof room - 1, kind, data, bytes);
}

int chat(linkspan_apache_plugin *plugin)
{
    plugin->user = plugin;
    plugin->callbacks.on_open = on_open;
    plugin->callbacks.on_message = on_message;
    return 0;
}
