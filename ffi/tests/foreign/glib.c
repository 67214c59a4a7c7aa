/* The scenario inside GLib's main loop, driven as examples/c/echo_glib.c does. */
#define main example_main
#include "../../../examples/c/echo_glib.c"
#undef main
#include "scenario.h"

static guint timer;

static gboolean on_timer(gpointer user) {
    (void)user;
    tick();
    return G_SOURCE_CONTINUE;
}

static void start(void) {
    timer = g_timeout_add(1, on_timer, NULL);
}

int main(void) {
    GMainLoop *main_loop = g_main_loop_new(NULL, FALSE);
    GSource *source = attach(main_loop, begin(start));
    g_main_loop_run(main_loop);
    g_source_remove(timer);
    g_source_unref(source);
    g_main_loop_unref(main_loop);
    end();
    return 0;
}
