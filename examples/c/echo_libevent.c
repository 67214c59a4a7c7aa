/* echo_libevent: a Linkspan loop inside libevent.
 *
 * echo_libevent [PORT]
 *
 * One event with a timeout: it fires when linkspan_loop_fd is readable or the timeout has passed, which is set
 * anew after each turn. libevent has no hook before it waits, and needs none: what is sent between two turns
 * makes the descriptor readable. */
#include "echo.h"

#include <event2/event.h>
#include <signal.h>

struct driver {
    linkspan_loop *loop;
    struct event *event;
};

static void turn(evutil_socket_t fd, short what, void *user) {
    struct driver *driver = user;
    (void)fd;
    (void)what;
    must(linkspan_loop_run_once(driver->loop, 0));
    if (linkspan_loop_is_stopping(driver->loop)) {
        event_base_loopbreak(event_get_base(driver->event));
        return;
    }
    int64_t timeout = linkspan_loop_next_timeout(driver->loop);
    struct timeval wait = {timeout / 1000, timeout % 1000 * 1000};
    if (timeout < 0)
        event_remove_timer(driver->event);
    else
        event_add(driver->event, &wait);
}

static void attach(struct driver *driver, struct event_base *base, linkspan_loop *loop) {
    driver->loop = loop;
    driver->event = event_new(base, linkspan_loop_fd(loop), EV_READ | EV_PERSIST, turn, driver);
    event_add(driver->event, NULL);
    event_active(driver->event, EV_TIMEOUT, 0);
}

static void on_signal(evutil_socket_t number, short what, void *loop) {
    (void)number;
    (void)what;
    linkspan_loop_shutdown(loop, 1001, NULL, 0, 5000);
}

int main(int argc, char **argv) {
    uint16_t port = port_of(argc, argv);
    linkspan_loop *loop = NULL;
    struct driver driver;
    must(linkspan_loop_new(&loop));
    struct event_base *base = event_base_new();
    struct event *interrupt = evsignal_new(base, SIGINT, on_signal, loop);
    struct event *terminate = evsignal_new(base, SIGTERM, on_signal, loop);
    event_add(interrupt, NULL);
    event_add(terminate, NULL);
    linkspan_server *server = serve_echo(loop, port);
    attach(&driver, base, loop);
    event_base_dispatch(base);

    event_free(driver.event);
    event_free(interrupt);
    event_free(terminate);
    event_base_free(base);
    linkspan_server_free(server);
    linkspan_loop_free(loop);
    return 0;
}
