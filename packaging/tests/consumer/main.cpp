// The same as main.c, by the classes.
#include <linkspan.hpp>

#include <iostream>
#include <string>

int main() {
    if (linkspan_has(LINKSPAN_FEATURE_TLS) != TLS || linkspan_has(LINKSPAN_FEATURE_DEFLATE) != DEFLATE) {
        std::cerr << "this is another library than was asked for\n";
        return 1;
    }
    linkspan::Handlers serving;
    serving.on_message = [](linkspan::Connection connection, linkspan::Kind kind, std::string_view data) {
        connection.send(kind, data);
    };
    linkspan::Server server(serving);
    server.listen("127.0.0.1", 0);
    server.start();

    linkspan::Loop loop;
    bool echoed = false;
    linkspan::Handlers asking;
    asking.on_open = [](linkspan::Connection connection) { connection.send_text("hello"); };
    asking.on_message = [&echoed](linkspan::Connection connection, linkspan::Kind kind, std::string_view data) {
        echoed = kind == linkspan::Kind::text && data == "hello";
        connection.close();
    };
    asking.on_close = [&loop](linkspan::Connection, const linkspan::CloseInfo &) { loop.stop(); };
    loop.connect("ws://127.0.0.1:" + std::to_string(server.port()) + "/", asking);
    loop.run();
    std::cout << "linkspan " << linkspan_version() << ": " << (echoed ? "echoed" : "no echo") << '\n';
    return !echoed;
}
