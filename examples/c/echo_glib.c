/* echo_glib: a Linkspan loop inside GLib's main loop, so inside GTK too.
 *
 * echo_glib [PORT]
 *
 * One GSource: GLib dispatches it when linkspan_loop_fd is readable or its ready time has come, which is set anew
 * after each turn. */
#include "echo.h"

#include <glib-unix.h>
#include <signal.h>

struct driver {
    GSource source;
    linkspan_loop *loop;
    GMainLoop *main;
};

static gboolean turn(GSource *source, GSourceFunc callback, gpointer user) {
    struct driver *driver = (struct driver *)source;
    (void)callback;
    (void)user;
    must(linkspan_loop_run_once(driver->loop, 0));
    if (linkspan_loop_is_stopping(driver->loop)) {
        g_main_loop_quit(driver->main);
        return G_SOURCE_REMOVE;
    }
    int64_t timeout = linkspan_loop_next_timeout(driver->loop);
    g_source_set_ready_time(source, timeout < 0 ? -1 : g_get_monotonic_time() + timeout * 1000);
    return G_SOURCE_CONTINUE;
}

static GSource *attach(GMainLoop *main, linkspan_loop *loop) {
    static GSourceFuncs functions = {.dispatch = turn};
    GSource *source = g_source_new(&functions, sizeof(struct driver));
    struct driver *driver = (struct driver *)source;
    driver->loop = loop;
    driver->main = main;
    g_source_add_unix_fd(source, linkspan_loop_fd(loop), G_IO_IN);
    g_source_set_ready_time(source, 0);
    g_source_attach(source, g_main_loop_get_context(main));
    return source;
}

static gboolean on_signal(gpointer loop) {
    linkspan_loop_shutdown(loop, 1001, NULL, 0, 5000);
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv) {
    uint16_t port = port_of(argc, argv);
    linkspan_loop *loop = NULL;
    must(linkspan_loop_new(&loop));
    GMainLoop *main = g_main_loop_new(NULL, FALSE);
    guint signals[] = {g_unix_signal_add(SIGINT, on_signal, loop), g_unix_signal_add(SIGTERM, on_signal, loop)};
    linkspan_server *server = serve_echo(loop, port);
    GSource *source = attach(main, loop);
    g_main_loop_run(main);

    g_source_unref(source);
    for (int i = 0; i < 2; i++) g_source_remove(signals[i]);
    g_main_loop_unref(main);
    linkspan_server_free(server);
    linkspan_loop_free(loop);
    return 0;
}
