/* Redirects, cookies and passwords: what goes where. */
#include "check.h"

/* "/to?PLACE" is sent to PLACE; everything else is accepted. */
static void on_request(void *user, linkspan_connection connection, const linkspan_request *request) {
    static const char *const names[] = {"Authorization", "Cookie", "X-Api-Key", "User-Agent"};
    char *seen = user, place[256];
    linkspan_text target = linkspan_request_target(request);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        linkspan_text value = linkspan_request_header(request, names[i]);
        if (value.data) {
            sprintf(seen + strlen(seen), "%s=%.*s;", names[i], (int)value.bytes, value.data);
        }
    }
    strcat(seen, "|");
    if (target.bytes > 4 && !memcmp(target.data, "/to?", 4)) {
        linkspan_header location = {"Location", place};
        snprintf(place, sizeof place, "%.*s", (int)target.bytes - 4, target.data + 4);
        OK(linkspan_request_reject(connection, 307, &location, 1, "elsewhere", 9));
    }
}

int main(void) {
    static const char mine[] = "Authorization=Basic dTpw;Cookie=a=b;X-Api-Key=k;User-Agent=me;|";
    struct pair here = {0};
    linkspan_server *other;
    char base[64], asked[256], seen[1024] = "", seen_there[1024] = "";
    linkspan_callbacks servers = {.size = sizeof servers, .on_request = on_request};
    linkspan_server_options server = {.size = sizeof server, .callbacks = &servers, .user = seen};
    pair_serve(&here, &server, base);
    int port = linkspan_server_port(here.server);
    server.user = seen_there;
    OK(linkspan_server_new(&server, &other));
    OK(linkspan_server_listen(other, NULL, 0));
    OK(linkspan_server_start(other));

    struct outcome outcome;
    linkspan_callbacks clients = OUTCOME_CALLBACKS;
    linkspan_header headers[] = {{"X-Api-Key", "k"}, {"User-Agent", "me"}};
    linkspan_client_options client = {.size = sizeof client,
                                      .url = asked,
                                      .callbacks = &clients,
                                      .user = &outcome,
                                      .headers = headers,
                                      .header_count = 2,
                                      .cookies = "a=b",
                                      .max_redirects = 2};

    /* At home. */
    snprintf(asked, sizeof asked, "ws://u:p@127.0.0.1:%d/to?/to?/there", port);
    outcome_run(here.loop, &client);
    snprintf(base, sizeof base, "ws://127.0.0.1:%d/there", port);
    CHECK(outcome.opened == 1 && !strcmp(outcome.url, base));
    for (int i = 0; i < 3; i++) {
        CHECK(!strncmp(seen + i * strlen(mine), mine, strlen(mine)));
    }

    /* Elsewhere: nothing of who asks. */
    snprintf(asked, sizeof asked, "ws://u:p@127.0.0.1:%d/to?http://127.0.0.1:%d/there", port, linkspan_server_port(other));
    outcome_run(here.loop, &client);
    snprintf(base, sizeof base, "ws://127.0.0.1:%d/there", linkspan_server_port(other));
    CHECK(outcome.opened == 1 && !strcmp(outcome.url, base) && !strcmp(seen_there, "User-Agent=me;|"));

    /* For ever. */
    snprintf(asked, sizeof asked, "ws://127.0.0.1:%d/to?/to?/to?/there", port);
    outcome_run(here.loop, &client);
    CHECK(outcome.errors == 1 && outcome.response_status == 307);
    CHECK(strstr(outcome.message, "there were 2 before it, and that is the limit"));

    /* Not at all. */
    client.max_redirects = 0;
    outcome_run(here.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "answered 307") && outcome.response_status == 307);

    /* A cookie cannot break the request. */
    client.cookies = "a=b\r\nX: y";
    IS(linkspan_connect(here.loop, &client, NULL), LINKSPAN_INVALID_ARGUMENT);

    linkspan_server_free(other);
    pair_free(&here);
    return 0;
}
