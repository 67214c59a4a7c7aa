// linkspan.hpp: WebSocket for C++17, over linkspan.h.
//
//     #include <linkspan.hpp>
//
//     struct Echo {
//         void on_message(linkspan::Connection connection, linkspan::Kind kind, std::string_view data) {
//             connection.send(kind, data);
//         }
//     };
//
//     int main() {
//         linkspan::Server server{Echo()};
//         server.listen("127.0.0.1", 9001);
//         server.start();
//         server.wait();
//     }
//
// What holds everywhere:
//
// - The words are those of linkspan.h, whose comments say the rest: linkspan_server_listen is
//   linkspan::Server::listen. Options are its structs, filled with their defaults: linkspan::Config is a
//   linkspan_config.
// - Owners (Loop, Server, Tls, Engine, Handshake) move and do not copy; raw() gives the pointer that they own.
//   A Connection is a value.
// - What fails throws linkspan::Error. Handlers may throw: that closes their connection with 1011, and goes no
//   further. They are lambdas (linkspan::Handlers) or an object of your own: see linkspan/handlers.hpp.
// - Nothing is kept here but the pointer, and nothing is done here that linkspan.h does not do.
//
// What has a state of its own stands beside it: the browser's class in linkspan_websocket.hpp, connections as C++20
// coroutines take them in linkspan_coroutines.hpp.
#ifndef LINKSPAN_HPP
#define LINKSPAN_HPP

#include <linkspan/engine.hpp>
#include <linkspan/log.hpp>
#include <linkspan/loop.hpp>
#include <linkspan/server.hpp>

#endif
