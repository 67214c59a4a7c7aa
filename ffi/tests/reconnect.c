/* A client that comes back under its name, and ends when it is told to. */
#include "check.h"

enum { CLOSES = 4 };
static const uint16_t codes[CLOSES] = {1001, 1012, 0, 1000};

static linkspan_connection client;
static int served, opened, lost, closed, errors;
static uint16_t lost_code, closed_code;
static uint64_t delay;

/* The server closes with each of the codes in turn when it is spoken to; 0 is without a word. */
static void on_message(void *user, linkspan_connection connection, linkspan_message_kind kind, const void *data,
                       size_t bytes) {
    (void)user;
    CHECK(kind == LINKSPAN_TEXT && bytes == 2 && !memcmp(data, "hi", 2));
    uint16_t code = codes[served++ % CLOSES];
    if (code) {
        OK(linkspan_connection_close(connection, code, NULL, 0));
    } else {
        OK(linkspan_connection_abort(connection));
    }
}

static void on_open(void *user, linkspan_connection connection) {
    CHECK(connection.id == client.id && user == &client);
    CHECK(linkspan_connection_ready_state(connection) == LINKSPAN_STATE_OPEN);
    opened++;
    OK(linkspan_connection_send_text(connection, "hi", 2));
}

static void on_error(void *user, linkspan_connection connection, const linkspan_error *error) {
    (void)user;
    (void)connection;
    CHECK(error->status == LINKSPAN_IO);
    errors++;
}

static void on_reconnect(void *user, linkspan_connection connection, const linkspan_close_info *info, uint64_t delay_ms) {
    CHECK(connection.id == client.id && user == &client && info->size == sizeof *info);
    CHECK(linkspan_connection_ready_state(connection) == LINKSPAN_STATE_CONNECTING);
    IS(linkspan_connection_send_text(connection, "x", 1), LINKSPAN_NOT_OPEN);
    lost_code = info->code;
    delay = delay_ms;
    lost++;
}

static void ends_it(void *user, linkspan_connection connection, const linkspan_close_info *info, uint64_t delay_ms) {
    on_reconnect(user, connection, info, delay_ms);
    OK(linkspan_connection_close(connection, 1000, NULL, 0));
}

static void on_close(void *user, linkspan_connection connection, const linkspan_close_info *info) {
    CHECK(connection.id == client.id && user == &client);
    closed_code = info->code;
    closed++;
}

static void begin(linkspan_loop *loop, const linkspan_client_options *options) {
    served = opened = lost = closed = errors = 0;
    OK(linkspan_connect(loop, options, &client));
}

int main(void) {
    struct pair pair = {0};
    char url[64];
    linkspan_callbacks servers = {.size = sizeof servers, .on_message = on_message};
    linkspan_server_options server = {.size = sizeof server, .callbacks = &servers};
    linkspan_callbacks callbacks = {.size = sizeof callbacks,
                                    .on_open = on_open,
                                    .on_error = on_error,
                                    .on_close = on_close,
                                    .on_reconnect = on_reconnect};
    linkspan_client_options options = {.size = sizeof options,
                                       .url = url,
                                       .callbacks = &callbacks,
                                       .user = &client,
                                       .reconnect_delay = 2,
                                       .reconnect_max_delay = 4};
    pair_serve(&pair, &server, url);

    /* Three losses, and then the server means it. */
    begin(pair.loop, &options);
    for (int i = 0; i < CLOSES - 1; i++) {
        TURN_UNTIL(pair.loop, lost == i + 1);
        CHECK(lost_code == (codes[i] ? codes[i] : 1006) && delay <= 4 && closed == 0);
    }
    TURN_UNTIL(pair.loop, closed == 1);
    CHECK(opened == CLOSES && lost == CLOSES - 1 && errors == 0 && closed_code == 1000);
    IS(linkspan_connection_close(client, 1000, NULL, 0), LINKSPAN_CLOSED);

    /* Attempts are used up where nobody listens. */
    options.url = "ws://127.0.0.1:1/";
    options.reconnect_attempts = 2;
    begin(pair.loop, &options);
    TURN_UNTIL(pair.loop, closed == 1);
    CHECK(opened == 0 && lost == 2 && errors == 3 && closed_code == 1006);

    /* A close while it waits, for what would be years. */
    options.url = url;
    options.reconnect_delay = options.reconnect_max_delay = UINT64_MAX / 2;
    options.reconnect_attempts = 0;
    begin(pair.loop, &options);
    TURN_UNTIL(pair.loop, lost == 1);
    CHECK(delay > 1000000);
    OK(linkspan_connection_close(client, 1000, NULL, 0));
    TURN_UNTIL(pair.loop, closed == 1);
    CHECK(opened == 1 && lost == 1 && errors == 0);

    /* The same inside on_reconnect, which is changed for this one connection. */
    begin(pair.loop, &options);
    OK(linkspan_connection_on_reconnect(client, ends_it, &client));
    TURN_UNTIL(pair.loop, closed == 1);
    CHECK(opened == 1 && lost == 1);

    /* The loop goes while it waits. */
    begin(pair.loop, &options);
    TURN_UNTIL(pair.loop, lost == 1);
    pair_free(&pair);
    CHECK(closed == 1);
    return 0;
}
