// chat_server: whoever connects to it hears what the others say. One loop, on this thread.
//
// chat_server [PORT]
//
// Prints one line when it accepts connections. A client that reads too slowly is left out until it has
// caught up, so that one of them cannot fill the memory.
#include <linkspan.hpp>

#include <cstdlib>
#include <iostream>
#include <unordered_map>

class Room {
public:
    void on_request(linkspan::Connection connection, const linkspan::Request &request) {
        if (!request.is_upgrade())
            connection.reject(200, "This is a chat: connect to it with a WebSocket.\n");
        else if (guests_.size() == most_guests)
            connection.reject(503, "full\n");
    }

    void on_open(linkspan::Connection connection) {
        if (guests_.size() == most_guests)
            connection.close(1013, "the room is full");
        else
            guests_.emplace(connection, Guest{});
    }

    void on_message(linkspan::Connection connection, linkspan::Kind kind, std::string_view data) {
        for (auto &[guest, state] : guests_) {
            // Not an exception for one whose end is still to be told: nobody else is to miss the message.
            if (guest == connection || state.is_slow || guest.ready_state() != linkspan::ReadyState::open) continue;
            state.is_slow = guest.send(kind, data) == LINKSPAN_BUFFERED;
        }
    }

    void on_drained(linkspan::Connection connection) {
        const auto guest = guests_.find(connection);
        if (guest != guests_.end()) guest->second.is_slow = false;
    }

    void on_close(linkspan::Connection connection, const linkspan::CloseInfo &) { guests_.erase(connection); }

private:
    struct Guest {
        bool is_slow = false;
    };
    static constexpr std::size_t most_guests = 1000;
    std::unordered_map<linkspan::Connection, Guest> guests_;
};

int main(int argc, char **argv) {
    try {
        linkspan::Loop loop;
        linkspan::ServerOptions options;
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
