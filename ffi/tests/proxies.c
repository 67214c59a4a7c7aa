/* Clients behind proxies: given, from the environment, none; those that refuse and those that lie. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* A proxy for one client: what it answers, and where it leads when that is a yes. */
struct proxy {
    pthread_t thread;
    int listener, port, server_port;
    const char *answer;
    /* What it was asked. */
    char head[1024];
};

static int tcp(int port, int serves) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (serves) {
        CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0);
    } else {
        CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    }
    return fd;
}

/* Copies what has come; 0 at the end. */
static ssize_t copy(int from, int to) {
    char buffer[4096];
    ssize_t n = recv(from, buffer, sizeof buffer, 0);
    if (n > 0) {
        CHECK(send(to, buffer, (size_t)n, MSG_NOSIGNAL) == n);
    }
    return n;
}

static void *serve(void *argument) {
    struct proxy *proxy = argument;
    size_t length = 0;
    int client = accept(proxy->listener, NULL, NULL), server;
    CHECK(client >= 0);
    while (!strstr(proxy->head, "\r\n\r\n")) {
        CHECK(length < sizeof proxy->head - 1);
        CHECK(recv(client, proxy->head + length++, 1, 0) == 1);
    }
    send(client, proxy->answer, strlen(proxy->answer), MSG_NOSIGNAL);
    if (proxy->server_port) {
        struct pollfd fds[2];
        server = tcp(proxy->server_port, 0);
        fds[0] = (struct pollfd){.fd = client, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = server, .events = POLLIN};
        do {
            CHECK(poll(fds, 2, -1) > 0);
        } while ((!fds[0].revents || copy(client, server) > 0) && (!fds[1].revents || copy(server, client) > 0));
        close(server);
    }
    close(client);
    return NULL;
}

static void start(struct proxy *proxy, const char *answer, int server_port) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    memset(proxy, 0, sizeof *proxy);
    proxy->listener = tcp(0, 1);
    CHECK(getsockname(proxy->listener, (struct sockaddr *)&address, &size) == 0);
    proxy->port = ntohs(address.sin_port);
    proxy->answer = answer;
    proxy->server_port = server_port;
    CHECK(pthread_create(&proxy->thread, NULL, serve, proxy) == 0);
}

static void stop(struct proxy *proxy) {
    CHECK(pthread_join(proxy->thread, NULL) == 0);
    close(proxy->listener);
}

int main(void) {
    char url[64], proxy_url[64];
    struct pair pair = {0};
    struct proxy proxy;
    linkspan_server_options server = {.size = sizeof server};
    struct outcome outcome;
    linkspan_callbacks callbacks = OUTCOME_CALLBACKS;
    linkspan_client_options client = {.size = sizeof client,
                                      .url = "ws://server.invalid/",
                                      .callbacks = &callbacks,
                                      .user = &outcome,
                                      .proxy = proxy_url};
    pair_serve(&pair, &server, url);
    int port = linkspan_server_port(pair.server);

    /* The server is a thread of its own to the proxy: this thread turns the loop for both. */
    start(&proxy, "HTTP/1.1 200 OK\r\n\r\n", port);
    snprintf(proxy_url, sizeof proxy_url, "http://user:secret@127.0.0.1:%d", proxy.port);
    outcome_run(pair.loop, &client);
    stop(&proxy);
    CHECK(outcome.opened == 1);
    CHECK(!strncmp(proxy.head, "CONNECT server.invalid:80 HTTP/1.1\r\n", 36));
    CHECK(strstr(proxy.head, "\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"));

    /* From the environment. */
    start(&proxy, "HTTP/1.1 200 OK\r\n\r\n", port);
    snprintf(proxy_url, sizeof proxy_url, "127.0.0.1:%d", proxy.port);
    setenv("http_proxy", proxy_url, 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "other.invalid", 1);
    client.proxy = NULL;
    outcome_run(pair.loop, &client);
    stop(&proxy);
    CHECK(outcome.opened == 1);

    /* Not for those on the list, not for this machine, and not when told so. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "other.example, .invalid", 1);
    outcome_run(pair.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "cannot resolve server.invalid"));
    unsetenv("no_proxy");
    client.url = url;
    outcome_run(pair.loop, &client);
    CHECK(outcome.opened == 1);
    client.url = "ws://server.invalid/";
    client.proxy = "";
    outcome_run(pair.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "cannot resolve server.invalid"));
    client.proxy = NULL;
    outcome_run(pair.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "cannot connect to the proxy 127.0.0.1:1"));
    setenv("http_proxy", "gopher://user:secret@127.0.0.1", 1);
    outcome_run(pair.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "http_proxy") && !strstr(outcome.message, "secret"));

    /* No proxy at all. */
    static const char *const bad[] = {"gopher://a", "http://", "socks5://a:99999", "http://user:secret@"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        client.proxy = bad[i];
        IS(linkspan_connect(pair.loop, &client, NULL), LINKSPAN_INVALID_ARGUMENT);
        CHECK(strstr(linkspan_last_error(), "prox") && !strstr(linkspan_last_error(), "secret"));
    }

    /* Those that refuse, and those that lie. */
    static const struct {
        const char *answer, *expected;
        uint16_t status;
    } refusals[] = {
        {"HTTP/1.1 407 Who\r\n\r\n", "407 Who; it wants a user and a password", 407},
        {"HTTP/1.1 403 No\r\n\r\n", "403 No; it does not allow this server", 403},
        {"HTTP/1.1 502 Bad\r\n\r\n", "502 Bad; it does not reach the server", 502},
        {"220 smtp.example\r\n\r\n", "its answer cannot be read", 0},
        {"HTTP/1.1 200", "it ended the connection before the way was open", 0},
        {"HTTP/1.1 200 OK\r\n\r\nhello", "it sent more than its answer (5 bytes)", 0},
    };
    client.proxy = proxy_url;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        start(&proxy, refusals[i].answer, 0);
        snprintf(proxy_url, sizeof proxy_url, "http://user:secret@127.0.0.1:%d", proxy.port);
        outcome_run(pair.loop, &client);
        stop(&proxy);
        CHECK(outcome.errors == 1 && strstr(outcome.message, refusals[i].expected));
        CHECK(strstr(outcome.message, "the proxy refused: ") && !strstr(outcome.message, "secret"));
        CHECK(outcome.http_status == refusals[i].status);
    }

    /* One that says nothing. */
    int silent = tcp(0, 1);
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    CHECK(getsockname(silent, (struct sockaddr *)&address, &size) == 0);
    snprintf(proxy_url, sizeof proxy_url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    client.proxy_timeout = 30;
    outcome_run(pair.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "cannot get through the proxy 127.0.0.1:"));
    CHECK(strstr(outcome.message, "no answer within 0.03 s"));

    /* Nor in TLS. */
    linkspan_tls *tls;
    OK(linkspan_tls_client_new(&tls));
    OK(linkspan_tls_client_ca(tls, "ffi/tests/certificates/ca.pem"));
    client.proxy_tls = tls;
    client.tls_timeout = 40;
    snprintf(proxy_url, sizeof proxy_url, "https://127.0.0.1:%d", ntohs(address.sin_port));
    outcome_run(pair.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "cannot finish the TLS handshake with the proxy 127.0.0.1:"));
    CHECK(strstr(outcome.message, "no answer within 0.04 s"));
    client.tls = tls;
    client.proxy = "";
    snprintf(url, sizeof url, "wss://127.0.0.1:%d/", ntohs(address.sin_port));
    client.url = url;
    outcome_run(pair.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "cannot finish the TLS handshake with 127.0.0.1:"));
    client.tls_timeout = 0;
    client.connect_timeout = 50;
    outcome_run(pair.loop, &client);
    CHECK(outcome.errors == 1 && strstr(outcome.message, "no answer within 0.05 s"));
    linkspan_tls_free(tls);
    close(silent);

    pair_free(&pair);
    return 0;
}
