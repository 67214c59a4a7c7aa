/* SIGPIPE stays at its default, and the program lives: it writes to a peer that has gone. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static int closed = 0;
static linkspan_connection served = {0};
static char big[1 << 20];

static void on_open(void *user, linkspan_connection connection) {
    (void)user;
    served = connection;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    (void)user;
    (void)connection;
    CHECK(info->code == 1006);
    closed++;
}

int main(void) {
    struct sigaction action;
    CHECK(!sigaction(SIGPIPE, NULL, &action) && action.sa_handler == SIG_DFL);
    static const char *const head =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for (int round = 0; round < 4; round++) {
        int ends[2];
        linkspan_loop *loop;
        linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_open = on_open, .on_close = on_close};
        linkspan_adopt_options options = {.size = sizeof options, .callbacks = &callbacks};
        OK(linkspan_loop_new(&loop));
        CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        served = NOBODY;
        OK(linkspan_loop_adopt_fd(loop, ends[0], &options, NULL));
        CHECK(send(ends[1], head, strlen(head), 0) == (ssize_t)strlen(head));
        TURN_UNTIL(loop, served.id != 0);
        close(ends[1]);
        /* Directly after the peer has gone, small and large, copied and owned. */
        if (round & 1)
            OK(linkspan_connection_send_binary(served, big, round & 2 ? sizeof big : 5));
        else
            OK(linkspan_connection_send_owned(served, LINKSPAN_BINARY, big, round & 2 ? sizeof big : 5, NULL, NULL));
        TURN_UNTIL(loop, closed == round + 1);
        linkspan_loop_free(loop);
    }
    CHECK(!sigaction(SIGPIPE, NULL, &action) && action.sa_handler == SIG_DFL);
    return 0;
}
