// Topics: subscribing, publishing from a connection, a loop, a server and another thread.
#include "check.hpp"

#include <thread>

using linkspan::Connection;
using linkspan::Kind;

// Says what it hears to the whole room; the room's own words come from the loop and the server.
struct Room {
    void on_open(Connection connection) {
        connection.subscribe("room");
        connection.subscribe("left");
        connection.unsubscribe("left");
    }
    void on_message(Connection connection, Kind kind, std::string_view data) {
        connection.publish("room", kind, data);
    }
};

int main() {
    linkspan::Loop loop;
    linkspan::Server server = serve(loop, Room());
    std::string heard[2];
    Connection guests[2];
    for (int i = 0; i < 2; i++) {
        linkspan::Handlers handlers;
        handlers.on_message = [&text = heard[i]](Connection, Kind kind, std::string_view data) {
            text += (kind == Kind::text ? " t:" : " b:") + std::string(data);
        };
        guests[i] = loop.connect(url_of(server), handlers);
    }
    turn_until(loop, [&] {
        return server.subscriber_count("room") == 2 && guests[0].ready_state() == linkspan::ReadyState::open &&
               guests[1].ready_state() == linkspan::ReadyState::open;
    });
    CHECK(loop.subscriber_count("room") == 2 && loop.subscriber_count("left") == 0);
    guests[0].send_text("hello");
    turn_until(loop, [&] { return !heard[1].empty(); });
    loop.publish("room", Kind::text, "loop");
    std::thread([&] { server.publish("room", Kind::binary, std::vector<unsigned char>{'s'}); }).join();
    turn_until(loop, [&] { return heard[0] == " t:loop b:s" && heard[1] == " t:hello t:loop b:s"; });
    server.publish("left", Kind::text, "nobody");
    CHECK(guests[0].dropped() == 0);
    THROWS(LINKSPAN_INVALID_ARGUMENT, guests[0].subscribe(""));
    THROWS(LINKSPAN_CLOSED, Connection().publish("room", Kind::text, "x"));
    THROWS(LINKSPAN_INVALID_UTF8, loop.publish("room", Kind::text, "\xff"));
    THROWS(LINKSPAN_WRONG_STATE, linkspan::Server(Room()).publish("room", Kind::text, "x"));
    return 0;
}
