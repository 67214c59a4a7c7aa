/* The scenario inside libevent, driven as examples/c/echo_libevent.c does. */
#define main example_main
#include "../../../examples/c/echo_libevent.c"
#undef main
#include "scenario.h"

static struct event_base *base;
static struct event *timer;

static void on_timer(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    (void)user;
    tick();
}

static void start(void) {
    struct timeval every = {0, 1000};
    timer = event_new(base, -1, EV_PERSIST, on_timer, NULL);
    CHECK(!event_add(timer, &every));
}

int main(void) {
    struct driver driver;
    base = event_base_new();
    attach(&driver, base, begin(start));
    event_base_dispatch(base);
    event_free(timer);
    event_free(driver.event);
    event_base_free(base);
    end();
    return 0;
}
