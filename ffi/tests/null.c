/* Every function with NULL, and with sizes of 0 and of too much: a status, never a crash. programs.rs checks
 * that none is missing. */
#include "check.h"

#define INVALID(call) IS(call, LINKSPAN_INVALID_ARGUMENT)
#define DEAD(call) IS(call, LINKSPAN_CLOSED)
#define ABSENT(call)                            \
    do {                                        \
        linkspan_text text_ = (call);           \
        CHECK(text_.data == NULL && !text_.bytes); \
    } while (0)

static void library(void) {
    CHECK(linkspan_abi_version() > 0);
    CHECK(linkspan_version() != NULL);
    CHECK(!linkspan_has(-1));
    CHECK(linkspan_status_text(INT32_MIN) != NULL);
    CHECK(linkspan_last_error() != NULL);
    OK(linkspan_set_log(NULL, NULL, 0));
}

static void metrics(void) {
    linkspan_metrics metrics = {.size = sizeof metrics};
    INVALID(linkspan_loop_metrics(NULL, &metrics));
    INVALID(linkspan_server_metrics(NULL, &metrics));
    INVALID(linkspan_loop_openmetrics(NULL, NULL, 0, NULL));
    INVALID(linkspan_server_openmetrics(NULL, NULL, 0, NULL));
    ABSENT(linkspan_close_name(SIZE_MAX));
    ABSENT(linkspan_rule_name(SIZE_MAX));
}

static void tls(void) {
    linkspan_tls *tls = NULL;
    INVALID(linkspan_tls_server_new(NULL, NULL, NULL));
    INVALID(linkspan_tls_server_new(NULL, "key", &tls));
    INVALID(linkspan_tls_server_new("certificate", NULL, &tls));
    INVALID(linkspan_tls_client_new(NULL));
    INVALID(linkspan_tls_client_ca(NULL, NULL));
    INVALID(linkspan_tls_add_certificate(NULL, NULL, NULL));
    INVALID(linkspan_tls_client_add_ca(NULL, "file"));
    INVALID(linkspan_tls_client_certificate(NULL, "certificate", "key"));
    INVALID(linkspan_tls_client_pin(NULL, "sha256/"));
    INVALID(linkspan_tls_client_server_name(NULL, NULL));
    INVALID(linkspan_tls_client_alpn(NULL, NULL, 0));
    INVALID(linkspan_tls_server_client_ca(NULL, "file", true));
    INVALID(linkspan_connection_peer_certificate(NOBODY, NULL, NULL));
    INVALID(linkspan_tls_reload(NULL));
    CHECK(tls == NULL);
    OK(linkspan_tls_client_new(&tls));
    INVALID(linkspan_tls_client_ca(tls, NULL));
    INVALID(linkspan_tls_client_add_ca(tls, NULL));
    INVALID(linkspan_tls_client_certificate(tls, "certificate", NULL));
    INVALID(linkspan_tls_client_pin(tls, NULL));
    OK(linkspan_tls_client_server_name(tls, NULL));
    INVALID(linkspan_tls_client_alpn(tls, NULL, 1));
    OK(linkspan_tls_client_alpn(tls, NULL, 0));
    INVALID(linkspan_tls_server_client_ca(tls, NULL, false));
    INVALID(linkspan_tls_add_certificate(tls, NULL, NULL));
    linkspan_tls_free(tls);
    linkspan_tls_free(NULL);
}

static void requests(void) {
    linkspan_text text;
    ABSENT(linkspan_request_method(NULL));
    ABSENT(linkspan_request_target(NULL));
    ABSENT(linkspan_request_header(NULL, NULL));
    ABSENT(linkspan_request_header(NULL, "Origin"));
    ABSENT(linkspan_request_protocol_at(NULL, 0));
    CHECK(!linkspan_request_is_upgrade(NULL));
    INVALID(linkspan_request_header_at(NULL, 0, NULL, NULL));
    INVALID(linkspan_request_header_at(NULL, SIZE_MAX, &text, &text));
    DEAD(linkspan_request_accept(NOBODY, NULL));
    linkspan_accept_options options = {.size = 1};
    INVALID(linkspan_request_accept(NOBODY, &options));
    options.size = sizeof options;
    options.header_count = 1;
    INVALID(linkspan_request_accept(NOBODY, &options));
    DEAD(linkspan_request_reject(NOBODY, 404, NULL, 0, NULL, 0));
    INVALID(linkspan_request_reject(NOBODY, 404, NULL, 1, NULL, 0));
    INVALID(linkspan_request_reject(NOBODY, 404, NULL, 0, NULL, 1));
    linkspan_header header = {NULL, NULL};
    INVALID(linkspan_request_reject(NOBODY, 404, &header, 1, NULL, 0));
    INVALID(linkspan_request_reject(NOBODY, 404, &header, SIZE_MAX, NULL, 0));
    IS(linkspan_request_defer(NOBODY), LINKSPAN_WRONG_THREAD);
}

static void loops(void) {
    linkspan_loop *loop = NULL;
    INVALID(linkspan_loop_new(NULL));
    INVALID(linkspan_loop_run(NULL));
    INVALID(linkspan_loop_run_once(NULL, 0));
    INVALID(linkspan_loop_stop(NULL));
    INVALID(linkspan_loop_post(NULL, NULL, NULL));
    CHECK(linkspan_loop_fd(NULL) == -1);
    CHECK(linkspan_loop_next_timeout(NULL) == -1);
    CHECK(linkspan_loop_is_stopping(NULL));
    INVALID(linkspan_loop_shutdown(NULL, 1001, NULL, 0, 0));
    INVALID(linkspan_loop_adopt(NULL, NULL, NULL, NULL));
    INVALID(linkspan_loop_adopt_fd(NULL, -1, NULL, NULL));
    INVALID(linkspan_connect(NULL, NULL, NULL));
    linkspan_loop_free(NULL);

    OK(linkspan_loop_new(&loop));
    INVALID(linkspan_loop_post(loop, NULL, NULL));
    INVALID(linkspan_loop_shutdown(loop, 1001, NULL, 1, 0));
    INVALID(linkspan_loop_adopt(loop, NULL, NULL, NULL));
    linkspan_transport transport = {.size = sizeof transport};
    INVALID(linkspan_loop_adopt(loop, &transport, NULL, NULL));
    INVALID(linkspan_connect(loop, NULL, NULL));
    linkspan_client_options options = {.size = sizeof options};
    INVALID(linkspan_connect(loop, &options, NULL));
    options.size = SIZE_MAX;
    INVALID(linkspan_connect(loop, &options, NULL));
    linkspan_loop_free(loop);
}

static void servers(void) {
    linkspan_server *server = NULL;
    INVALID(linkspan_server_new(NULL, NULL));
    INVALID(linkspan_server_listen(NULL, NULL, 0));
    INVALID(linkspan_server_listen_unix(NULL, NULL));
    INVALID(linkspan_server_listen_fd(NULL, -1));
    INVALID(linkspan_server_listen_systemd(NULL, NULL));
    CHECK(linkspan_server_port(NULL) == 0);
    CHECK(linkspan_server_port_at(NULL, SIZE_MAX) == 0);
    INVALID(linkspan_server_pause(NULL));
    INVALID(linkspan_server_resume(NULL));
    INVALID(linkspan_server_start(NULL));
    INVALID(linkspan_server_drain(NULL, 1001, NULL, 0, 0));
    INVALID(linkspan_server_wait(NULL));
    INVALID(linkspan_server_stop(NULL));
    linkspan_server_free(NULL);
    OK(linkspan_server_new(NULL, &server));
    INVALID(linkspan_server_listen_unix(server, NULL));
    INVALID(linkspan_server_drain(server, 0, NULL, 0, 0));
    INVALID(linkspan_server_drain(server, 1001, NULL, SIZE_MAX, 0));
    linkspan_server_free(server);
}

static void connections(void) {
    const linkspan_connection nobody = NOBODY;
    size_t length = 7;
    linkspan_text text;
    const void *data = NULL;
    DEAD(linkspan_connection_send_text(nobody, NULL, 0));
    INVALID(linkspan_connection_send_text(nobody, NULL, 1));
    DEAD(linkspan_connection_send_binary(nobody, NULL, 0));
    INVALID(linkspan_connection_send_binary(nobody, NULL, SIZE_MAX));
    DEAD(linkspan_connection_send(nobody, LINKSPAN_TEXT, NULL, 0));
    INVALID(linkspan_connection_send(nobody, 0, NULL, 0));
    DEAD(linkspan_connection_send_fragment(nobody, LINKSPAN_TEXT, NULL, 0, true));
    INVALID(linkspan_connection_send_fragment(nobody, LINKSPAN_TEXT, NULL, 1, true));
    DEAD(linkspan_connection_send_owned(nobody, LINKSPAN_TEXT, NULL, 0, NULL, NULL));
    INVALID(linkspan_connection_send_owned(nobody, LINKSPAN_TEXT, NULL, 1, NULL, NULL));
    DEAD(linkspan_connection_ping(nobody, NULL, 0));
    INVALID(linkspan_connection_ping(nobody, NULL, 1));
    DEAD(linkspan_connection_pong(nobody, NULL, 0));
    INVALID(linkspan_connection_pong(nobody, NULL, 1));
    DEAD(linkspan_connection_close(nobody, 1000, NULL, 0));
    INVALID(linkspan_connection_close(nobody, 1000, NULL, 1));
    DEAD(linkspan_connection_abort(nobody));
    DEAD(linkspan_connection_pause(nobody));
    DEAD(linkspan_connection_resume(nobody));
    DEAD(linkspan_connection_ready(nobody));
    CHECK(linkspan_connection_ready_state(nobody) == LINKSPAN_STATE_CLOSED);
    CHECK(linkspan_connection_buffered_amount(nobody) == 0);
    DEAD(linkspan_connection_url(nobody, NULL, 0, NULL));
    DEAD(linkspan_connection_protocol(nobody, NULL, 0, &length));
    DEAD(linkspan_connection_extensions(nobody, NULL, 0, NULL));
    DEAD(linkspan_connection_peer(nobody, NULL, 0, NULL));
    CHECK(linkspan_connection_response_status(nobody) == 0);
    INVALID(linkspan_connection_response_header(nobody, NULL, NULL, 0, NULL));
    DEAD(linkspan_connection_response_header(nobody, "name", NULL, 0, NULL));
    INVALID(linkspan_connection_response_header_at(nobody, 0, NULL, NULL));
    DEAD(linkspan_connection_response_header_at(nobody, 0, &text, &text));
    INVALID(linkspan_connection_response_body(nobody, NULL, NULL));
    INVALID(linkspan_connection_response_body(nobody, &data, NULL));
    DEAD(linkspan_connection_response_body(nobody, &data, &length));
    DEAD(linkspan_connection_close_info(nobody, NULL));
    CHECK(linkspan_connection_user(nobody) == NULL);
    DEAD(linkspan_connection_set_user(nobody, NULL));
    DEAD(linkspan_connection_on_open(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_message(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_message_begin(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_message_part(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_message_end(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_ping(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_pong(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_drained(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_close_requested(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_error(nobody, NULL, NULL));
    DEAD(linkspan_connection_on_close(nobody, NULL, NULL));
    CHECK(length == 7 && data == NULL);
}

static void handshakes(void) {
    linkspan_handshake *handshake = NULL;
    linkspan_engine *engine = NULL;
    linkspan_text text;
    INVALID(linkspan_handshake_from_headers(NULL, NULL, NULL, NULL, 0, NULL));
    INVALID(linkspan_handshake_from_headers(NULL, NULL, "/", NULL, 0, &handshake));
    INVALID(linkspan_handshake_from_headers(NULL, "GET", NULL, NULL, 0, &handshake));
    INVALID(linkspan_handshake_from_headers(NULL, "GET", "/", NULL, 1, &handshake));
    INVALID(linkspan_handshake_from_headers(NULL, "GET", "/", NULL, 0, NULL));
    INVALID(linkspan_handshake_accept(NULL, NULL));
    CHECK(linkspan_handshake_status(NULL) == 0);
    CHECK(linkspan_handshake_request(NULL) == NULL);
    INVALID(linkspan_handshake_header_at(NULL, 0, NULL, NULL));
    ABSENT(linkspan_handshake_body(NULL));
    linkspan_handshake_free(NULL);
    OK(linkspan_handshake_from_headers(NULL, "", "", NULL, 0, &handshake));
    INVALID(linkspan_handshake_header_at(handshake, 0, NULL, &text));
    INVALID(linkspan_handshake_header_at(handshake, 0, &text, NULL));
    INVALID(linkspan_engine_adopt(handshake, 0, NULL));
    IS(linkspan_engine_adopt(handshake, 0, &engine), LINKSPAN_WRONG_STATE);
    linkspan_handshake_free(handshake);
}

static void engines(linkspan_engine *engine, linkspan_status expected) {
    linkspan_slice slice;
    linkspan_close_info info = {.size = sizeof info};
    INVALID(linkspan_engine_receive(engine, NULL, 1));
    INVALID(linkspan_engine_next_event(engine, 0, NULL));
    INVALID(linkspan_engine_reject(engine, 0, 404, NULL, 1, NULL, 0));
    INVALID(linkspan_engine_send(engine, LINKSPAN_TEXT, NULL, 1));
    INVALID(linkspan_engine_send(engine, 3, NULL, 0));
    INVALID(linkspan_engine_send_fragment(engine, LINKSPAN_TEXT, NULL, 1, true));
    INVALID(linkspan_engine_ping(engine, NULL, 1));
    INVALID(linkspan_engine_pong(engine, NULL, 1));
    INVALID(linkspan_engine_close(engine, 0, 1000, NULL, 1));
    INVALID(linkspan_engine_sent(engine, 1));
    CHECK(linkspan_engine_outgoing(engine, NULL, 0) == 0);
    CHECK(linkspan_engine_outgoing(engine, NULL, 1) == 0);
    CHECK(linkspan_engine_outgoing(engine, &slice, 1) == 0);
    CHECK(linkspan_engine_buffered_amount(engine) == 0);
    ABSENT(linkspan_engine_protocol(engine));
    CHECK(linkspan_engine_url(engine).bytes == (engine ? 1u : 0u));
    CHECK(linkspan_engine_extensions(engine).bytes == 0);
    CHECK(linkspan_engine_close_info(engine, &info) < 0);
    IS(linkspan_engine_pause(engine), expected);
    IS(linkspan_engine_resume(engine), expected);
    IS(linkspan_engine_handle_timeout(engine, 0), expected);
}

static void without_engines(void) {
    linkspan_engine *engine = NULL;
    INVALID(linkspan_engine_server(NULL, 0, NULL));
    INVALID(linkspan_engine_client(NULL, NULL, NULL, 0, 0, NULL));
    INVALID(linkspan_engine_client(NULL, NULL, NULL, 0, 0, &engine));
    INVALID(linkspan_engine_client(NULL, "ws://a/", NULL, 1, 0, &engine));
    INVALID(linkspan_engine_adopt(NULL, 0, &engine));
    linkspan_config config = {.size = 0};
    INVALID(linkspan_engine_server(&config, 0, &engine));
    INVALID(linkspan_engine_accept(NULL, 0, NULL));
    INVALID(linkspan_engine_end_of_input(NULL, 0));
    INVALID(linkspan_engine_lost(NULL, 0));
    INVALID(linkspan_engine_abort(NULL, 0));
    INVALID(linkspan_engine_stalled(NULL, 0));
    INVALID(linkspan_engine_close_info(NULL, NULL));
    CHECK(linkspan_engine_next_timeout(NULL) == LINKSPAN_NEVER);
    CHECK(linkspan_engine_shutdown(NULL) == LINKSPAN_SHUTDOWN_BOTH);
    CHECK(linkspan_engine_ready_state(NULL) == LINKSPAN_STATE_CLOSED);
    engines(NULL, LINKSPAN_INVALID_ARGUMENT);
    OK(linkspan_engine_server(NULL, 0, &engine));
    engines(engine, LINKSPAN_OK);
    OK(linkspan_engine_receive(engine, NULL, 0));
    linkspan_engine_free(engine);
    linkspan_engine_free(NULL);
}

static void topics(void) {
    const linkspan_connection nobody = NOBODY;
    DEAD(linkspan_connection_subscribe(nobody, NULL, 0));
    INVALID(linkspan_connection_subscribe(nobody, NULL, 1));
    DEAD(linkspan_connection_unsubscribe(nobody, NULL, 0));
    INVALID(linkspan_connection_unsubscribe(nobody, NULL, 1));
    DEAD(linkspan_connection_publish(nobody, NULL, 0, LINKSPAN_TEXT, NULL, 0));
    INVALID(linkspan_connection_publish(nobody, NULL, 1, LINKSPAN_TEXT, NULL, 0));
    INVALID(linkspan_connection_publish(nobody, NULL, 0, 0, NULL, 0));
    INVALID(linkspan_connection_publish(nobody, NULL, 0, LINKSPAN_TEXT, NULL, 1));
    INVALID(linkspan_loop_publish(NULL, NULL, 0, LINKSPAN_TEXT, NULL, 0));
    INVALID(linkspan_server_publish(NULL, NULL, 0, LINKSPAN_TEXT, NULL, 0));
    CHECK(linkspan_loop_subscriber_count(NULL, NULL, 0) == 0);
    CHECK(linkspan_server_subscriber_count(NULL, NULL, 0) == 0);
    CHECK(linkspan_connection_dropped(nobody) == 0);

    linkspan_loop *loop;
    linkspan_server *server;
    OK(linkspan_loop_new(&loop));
    OK(linkspan_server_new(NULL, &server));
    INVALID(linkspan_loop_publish(loop, NULL, SIZE_MAX, LINKSPAN_TEXT, NULL, 0));
    INVALID(linkspan_server_publish(server, "t", 1, LINKSPAN_TEXT, NULL, SIZE_MAX));
    CHECK(linkspan_loop_subscriber_count(loop, NULL, SIZE_MAX) == 0);
    CHECK(linkspan_server_subscriber_count(server, NULL, 0) == 0);
    linkspan_server_free(server);
    linkspan_loop_free(loop);
}

static void resolutions(void) {
    linkspan_resolution none = {0};
    INVALID(linkspan_resolution_answer(none, NULL, 1));
    INVALID(linkspan_resolution_fail(none, NULL));
    IS(linkspan_resolution_answer(none, NULL, 0), LINKSPAN_CLOSED);
    IS(linkspan_resolution_fail(none, "x"), LINKSPAN_CLOSED);
    IS(linkspan_connection_on_reconnect(NOBODY, NULL, NULL), LINKSPAN_CLOSED);
}

int main(void) {
    library();
    metrics();
    tls();
    requests();
    loops();
    servers();
    connections();
    topics();
    resolutions();
    handshakes();
    without_engines();
    return 0;
}
