/* What a client is told when it cannot connect. */
#include "check.h"

static int errors, closed;
static linkspan_status expected;

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    (void)user;
    CHECK(linkspan_connection_ready_state(connection) == LINKSPAN_STATE_CLOSING ||
          linkspan_connection_ready_state(connection) == LINKSPAN_STATE_CLOSED ||
          linkspan_connection_ready_state(connection) == LINKSPAN_STATE_CONNECTING);
    CHECK(error->status == expected);
    CHECK(error->message.bytes > 0);
    CHECK(error->status != LINKSPAN_IO || error->os_error != 0);
    errors++;
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    char url[64];
    (void)user;
    CHECK(info->code == 1006 && !info->clean);
    OK(linkspan_connection_url(connection, url, sizeof url, NULL));
    CHECK(!strncmp(url, "ws", 2));
    closed++;
}

int main(void) {
    linkspan_loop *loop;
    linkspan_callbacks callbacks = {.size = sizeof callbacks, .on_error = on_error, .on_close = on_close};
    linkspan_client_options options = {.size = sizeof options, .callbacks = &callbacks};
    OK(linkspan_loop_new(&loop));

    IS(linkspan_connect(loop, &options, NULL), LINKSPAN_INVALID_ARGUMENT);
    static const char *const bad[] = {"", "http", "ftp://a/", "ws://", "ws://a/#fragment", "ws://a:99999/", "ws://a b/"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.url = bad[i];
        IS(linkspan_connect(loop, &options, NULL), LINKSPAN_INVALID_ARGUMENT);
    }
    options.url = "ws://127.0.0.1:1/";
    linkspan_header header = {"Bad\r\nName", "value"};
    options.headers = &header;
    options.header_count = 1;
    IS(linkspan_connect(loop, &options, NULL), LINKSPAN_INVALID_ARGUMENT);
    options.header_count = 0;
    CHECK(errors == 0 && closed == 0);

    /* Nobody listens there. */
    linkspan_connection connection = NOBODY;
    expected = LINKSPAN_IO;
    OK(linkspan_connect(loop, &options, &connection));
    CHECK(connection.id != 0 && errors == 0);
    TURN_UNTIL(loop, closed == 1);
    CHECK(errors == 1);

    /* No such host: RFC 6761 keeps the name. */
    expected = LINKSPAN_UNRESOLVED;
    options.url = "ws://host.invalid/";
    OK(linkspan_connect(loop, &options, NULL));
    TURN_UNTIL(loop, closed == 2);
    CHECK(errors == 2);

    /* Given up by the application: no error. */
    options.url = "ws://127.0.0.1:1/";
    OK(linkspan_connect(loop, &options, &connection));
    OK(linkspan_connection_abort(connection));
    TURN_UNTIL(loop, closed == 3);
    CHECK(errors == 2);

    /* Freed while it connects: it closes. */
    OK(linkspan_connect(loop, &options, NULL));
    linkspan_loop_free(loop);
    CHECK(closed == 4);
    return 0;
}
