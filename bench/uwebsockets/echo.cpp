// An echo server on uWebSockets: sends each message back with its type. `echo PORT`
#include <App.h>

#include <cstdio>
#include <cstdlib>

struct Nothing {};

int main(int argc, char **argv) {
    uWS::App()
        .ws<Nothing>("/*", {
            .compression = uWS::DISABLED,
            .maxPayloadLength = 64 * 1024 * 1024,
            .idleTimeout = 0,
            .maxBackpressure = 64 * 1024 * 1024,
            .message = [](auto *ws, std::string_view message, uWS::OpCode opcode) { ws->send(message, opcode); },
        })
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
