/* The scenario inside libuv, driven as examples/c/echo_libuv.c does. */
#define main example_main
#include "../../../examples/c/echo_libuv.c"
#undef main
#include "scenario.h"

static uv_loop_t uv;
static uv_timer_t timer;

static void on_timer(uv_timer_t *it) {
    (void)it;
    tick();
}

static void start(void) {
    uv_timer_init(&uv, &timer);
    uv_timer_start(&timer, on_timer, 1, 1);
    uv_unref((uv_handle_t *)&timer);
}

int main(void) {
    struct driver driver;
    uv_loop_init(&uv);
    attach(&driver, &uv, begin(start));
    uv_run(&uv, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    CHECK(!uv_loop_close(&uv));
    end();
    return 0;
}
