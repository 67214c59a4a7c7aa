// chat_server: whoever connects to it hears what the others say. One loop, on this thread.
//
// chat_server [PORT]
//
// Prints one line when it accepts connections. A guest that reads too slowly misses what would pass the limit, so
// that none of them can fill the memory.
#include <linkspan.hpp>

#include <cstdlib>
#include <iostream>

struct Room {
    void on_request(linkspan::Connection connection, const linkspan::Request &request) {
        if (!request.is_upgrade()) connection.reject(200, "This is a chat: connect to it with a WebSocket.\n");
    }
    void on_open(linkspan::Connection connection) { connection.subscribe("room"); }
    void on_message(linkspan::Connection connection, linkspan::Kind kind, linkspan::Payload data) {
        connection.publish("room", kind, data);
    }
};

int main(int argc, char **argv) {
    try {
        linkspan::Loop loop;
        linkspan::Config config;
        config.max_message_bytes = 64 << 10;
        config.max_outbox_bytes = 1 << 20;
        linkspan::ServerOptions options;
        options.config = &config;
        options.max_connections = 1000;
        options.event_loop = loop.raw();
        linkspan::Server server{Room(), options};
        server.listen("127.0.0.1", static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9001));
        server.start();
        std::cout << "listening on ws://127.0.0.1:" << server.port() << '/' << std::endl;
        loop.run();
    } catch (const linkspan::Error &error) {
        std::cerr << "chat_server: " << error.what() << '\n';
        return 1;
    }
}
