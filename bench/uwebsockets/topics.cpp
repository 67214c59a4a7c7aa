// A topic server on uWebSockets: who connects to /sub subscribes, and gets what anybody else says. `topics PORT`
#include <App.h>

#include <cstdio>
#include <cstdlib>

struct Nothing {};

int main(int argc, char **argv) {
    uWS::App app;
    uWS::App::WebSocketBehavior<Nothing> subscriber = {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 64 * 1024 * 1024,
        .idleTimeout = 0,
        .maxBackpressure = 64 * 1024 * 1024,
        .open = [](auto *ws) { ws->subscribe("topic"); },
    };
    uWS::App::WebSocketBehavior<Nothing> publisher = {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 64 * 1024 * 1024,
        .idleTimeout = 0,
        .message = [&app](auto *, std::string_view message, uWS::OpCode opcode) {
            app.publish("topic", message, opcode);
        },
    };
    app.ws<Nothing>("/sub", std::move(subscriber))
        .ws<Nothing>("/*", std::move(publisher))
        .listen("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0, [](auto *listener) {
            if (!listener) {
                fprintf(stderr, "the port is in use\n");
                exit(1);
            }
            printf("listening on ws://127.0.0.1:%d/\n", us_socket_local_port(0, (us_socket_t *)listener));
            fflush(stdout);
        })
        .run();
}
