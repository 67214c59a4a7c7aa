/* echo_libuv: a Linkspan loop inside libuv.
 *
 * echo_libuv [PORT]
 *
 * A uv_poll_t watches linkspan_loop_fd, and a uv_timer_t is started anew after each turn. libuv asks for nothing
 * before it waits, and need not: what is sent between two turns makes the descriptor readable. */
#include "echo.h"

#include <signal.h>
#include <uv.h>

struct driver {
    linkspan_loop *loop;
    uv_poll_t poll;
    uv_timer_t timer;
};

static void on_timeout(uv_timer_t *timer);

static void turn(struct driver *driver) {
    must(linkspan_loop_run_once(driver->loop, 0));
    if (linkspan_loop_is_stopping(driver->loop)) {
        /* Nothing is left to wait for: uv_run returns when these were the last handles. */
        uv_close((uv_handle_t *)&driver->poll, NULL);
        uv_close((uv_handle_t *)&driver->timer, NULL);
        return;
    }
    int64_t timeout = linkspan_loop_next_timeout(driver->loop);
    if (timeout < 0)
        uv_timer_stop(&driver->timer);
    else
        uv_timer_start(&driver->timer, on_timeout, (uint64_t)timeout, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    turn(poll->data);
}

static void on_timeout(uv_timer_t *timer) {
    turn(timer->data);
}

static void attach(struct driver *driver, uv_loop_t *uv, linkspan_loop *loop) {
    driver->loop = loop;
    driver->poll.data = driver->timer.data = driver;
    uv_poll_init(uv, &driver->poll, linkspan_loop_fd(loop));
    uv_timer_init(uv, &driver->timer);
    uv_poll_start(&driver->poll, UV_READABLE, on_readable);
    turn(driver);
}

static void on_signal(uv_signal_t *signal, int number) {
    (void)number;
    linkspan_loop_shutdown(signal->data, 1001, NULL, 0, 5000);
}

int main(int argc, char **argv) {
    uint16_t port = port_of(argc, argv);
    const int numbers[] = {SIGINT, SIGTERM};
    uv_loop_t uv;
    uv_signal_t signals[2];
    linkspan_loop *loop = NULL;
    struct driver driver;
    uv_loop_init(&uv);
    must(linkspan_loop_new(&loop));
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&uv, &signals[i]);
        uv_signal_start(&signals[i], on_signal, numbers[i]);
        signals[i].data = loop;
        /* The signals alone do not keep the program. */
        uv_unref((uv_handle_t *)&signals[i]);
    }
    linkspan_server *server = serve_echo(loop, port);
    attach(&driver, &uv, loop);
    uv_run(&uv, UV_RUN_DEFAULT);

    for (int i = 0; i < 2; i++) uv_close((uv_handle_t *)&signals[i], NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    uv_loop_close(&uv);
    linkspan_server_free(server);
    linkspan_loop_free(loop);
    return 0;
}
