// Tls: certificates that are wrong, right, reloaded; a client that trusts them.
#include "check.hpp"

using linkspan::Connection;
using linkspan::Kind;

static const std::string certificates = "ffi/tests/certificates/";

int main() {
    try {
        linkspan::Tls::server("missing.pem", "missing.key");
        CHECK(false);
    } catch (const linkspan::Error &error) {
        CHECK(error.status() == LINKSPAN_TLS && std::string(error.what()).find("missing.pem") != std::string::npos);
    }
    THROWS(LINKSPAN_TLS, linkspan::Tls::client("missing.pem"));
    auto made = linkspan::Tls::server(certificates + "server.pem", certificates + "server.key");
    linkspan::Tls tls = std::move(made);
    CHECK(!made.raw());
    THROWS(LINKSPAN_INVALID_ARGUMENT, made.reload());
    THROWS(LINKSPAN_TLS, tls.add_certificate(certificates + "server.pem", "missing.key"));
    tls.add_certificate(certificates + "server.pem", certificates + "server.key");
    tls.reload();

    linkspan::Loop loop;
    linkspan::ServerOptions options;
    options.tls = tls.raw();
    linkspan::Server server = serve(loop, Echo(), options);
    const std::string url = "wss://localhost:" + std::to_string(server.port()) + "/";
    std::string heard;
    linkspan_status status = LINKSPAN_OK;
    int ended = 0;
    linkspan::Handlers handlers;
    handlers.on_open = [](Connection connection) { connection.send_text("secret"); };
    handlers.on_message = [&](Connection connection, Kind, std::string_view data) {
        heard = data;
        connection.close();
    };
    handlers.on_error = [&](Connection, const linkspan::Error &error) { status = error.status(); };
    handlers.on_close = [&](Connection, const linkspan::CloseInfo &) { ended++; };
    linkspan::ClientOptions trusting;
    {
        const linkspan::Tls ours = linkspan::Tls::client(certificates + "ca.pem");
        trusting.tls = ours.raw();
        loop.connect(url, handlers, trusting);
    }
    turn_until(loop, [&] { return ended == 1; });
    CHECK(heard == "secret" && status == LINKSPAN_OK);
    // Of the system's store, nobody vouches for it.
    loop.connect(url, handlers);
    turn_until(loop, [&] { return ended == 2; });
    CHECK(status == LINKSPAN_TLS);

    // A client that says who it is, to a server that wants to know.
    auto asking = linkspan::Tls::server(certificates + "server.pem", certificates + "server.key");
    THROWS(LINKSPAN_TLS, asking.client_ca("missing.pem", true));
    asking.client_ca(certificates + "more_ca.pem", true);
    options.tls = asking.raw();
    std::size_t shown = 0;
    linkspan::Handlers serving;
    serving.on_open = [&](Connection connection) {
        shown = connection.peer_certificate()->size();
        connection.close();
    };
    linkspan::Server second = serve(loop, serving, options);
    auto known = linkspan::Tls::client();
    known.add_ca(certificates + "ca.pem");
    known.certificate(certificates + "client.pem", certificates + "client.key");
    known.pin("sha256/ZvX5jEt6Qkqvzo1E+Kjwze3vYp/Kjv/SeTKGpef1Njg=");
    known.server_name("localhost");
    known.alpn({"http/1.1"});
    THROWS(LINKSPAN_TLS, known.pin("sha256/"));
    THROWS(LINKSPAN_TLS, known.server_name("no name"));
    THROWS(LINKSPAN_TLS, known.certificate("missing.pem", "missing.key"));
    trusting.tls = known.raw();
    status = LINKSPAN_OK;
    handlers.on_open = nullptr;
    loop.connect("wss://127.0.0.1:" + std::to_string(second.port()) + "/", handlers, trusting);
    turn_until(loop, [&] { return ended == 3 && shown != 0; });
    CHECK(status == LINKSPAN_OK);
    // Another key than the pinned one.
    auto pinned = linkspan::Tls::client(certificates + "ca.pem");
    pinned.pin("sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    trusting.tls = pinned.raw();
    loop.connect("wss://localhost:" + std::to_string(server.port()) + "/", handlers, trusting);
    turn_until(loop, [&] { return ended == 4; });
    CHECK(status == LINKSPAN_TLS);
    return 0;
}
