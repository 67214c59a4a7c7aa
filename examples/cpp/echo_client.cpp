// echo_client: connects with the browser's class and sends back what it receives until the connection is closed.
//
// echo_client [--deflate] [--ca FILE] [--max-message-bytes N] URL
//
// Exits with 0 when the connection was open and has closed, with 1 and a line on stderr when it failed.
#include <linkspan_websocket.hpp>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>

int main(int argc, char **argv) {
    const char *url = nullptr, *ca = nullptr;
    bool is_understood = true;
    linkspan::Config config;
    for (int i = 1; i < argc; i++) {
        if (!std::strcmp(argv[i], "--deflate")) {
            config.deflate = 1;
        } else if (!std::strcmp(argv[i], "--ca") && i + 1 < argc) {
            ca = argv[++i];
        } else if (!std::strcmp(argv[i], "--max-message-bytes") && i + 1 < argc) {
            config.max_message_bytes = config.max_frame_bytes = std::strtoull(argv[++i], nullptr, 10);
        } else if (argv[i][0] != '-' && !url) {
            url = argv[i];
        } else {
            is_understood = false;
        }
    }
    if (!url || !is_understood) {
        std::cerr << "echo_client: usage: echo_client [--deflate] [--ca FILE] [--max-message-bytes N] URL\n";
        return 1;
    }

    try {
        linkspan::Loop loop;
        linkspan::ClientOptions options;
        std::optional<linkspan::Tls> tls;
        if (ca) tls = linkspan::Tls::client(ca);
        options.tls = tls ? tls->raw() : nullptr;
        options.config = &config;

        bool was_open = false;
        linkspan::WebSocket socket(loop, url, {}, options);
        socket.binaryType = linkspan::BinaryType::arraybuffer;
        socket.onopen = [&](const linkspan::Event &) { was_open = true; };
        socket.onmessage = [&](const linkspan::MessageEvent &event) { socket.send(event.kind, event.data); };
        socket.onerror = [](const linkspan::ErrorEvent &event) {
            std::cerr << "echo_client: " << event.message << '\n';
        };
        socket.onclose = [&](const linkspan::CloseEvent &) { loop.stop(); };
        loop.run();
        return was_open ? 0 : 1;
    } catch (const linkspan::Error &error) {
        std::cerr << "echo_client: " << error.what() << '\n';
        return 1;
    }
}
