/* Version, features, status texts, the log. */
#include "check.h"

static int logged = 0;

static void on_log(void *user, linkspan_log_level level, linkspan_connection connection, linkspan_text message) {
    (void)connection;
    CHECK(user == &logged);
    CHECK(level >= LINKSPAN_LOG_ERROR && level <= LINKSPAN_LOG_DEBUG);
    CHECK(message.data != NULL && message.bytes > 0);
    logged++;
}

int main(void) {
    CHECK(linkspan_abi_version() == LINKSPAN_ABI_VERSION);
    CHECK(strchr(linkspan_version(), '.') != NULL);
    CHECK(!linkspan_has(0) && !linkspan_has(999));
    CHECK(linkspan_has(LINKSPAN_FEATURE_TLS) && linkspan_has(LINKSPAN_FEATURE_DEFLATE));

    for (linkspan_status status = LINKSPAN_FAILED - 1; status <= LINKSPAN_TRUNCATED + 1; status++)
        CHECK(linkspan_status_text(status) != NULL && *linkspan_status_text(status) != 0);
    CHECK(!strcmp(linkspan_status_text(-1000), "an unknown status"));

    CHECK(*linkspan_last_error() == 0);
    linkspan_server *server = NULL;
    OK(linkspan_server_new(NULL, &server));
    IS(linkspan_server_listen(server, "256.256.256.256", 1), LINKSPAN_UNRESOLVED);
    CHECK(strstr(linkspan_last_error(), "256.256.256.256") != NULL);

    OK(linkspan_set_log(on_log, &logged, LINKSPAN_LOG_INFO));
    OK(linkspan_server_listen(server, "127.0.0.1", 0));
    OK(linkspan_server_start(server));
    CHECK(logged == 1);
    OK(linkspan_set_log(NULL, NULL, 0));
    linkspan_server_free(server);
    return 0;
}
