// echo_server: sends every message back with the type it came in.
//
// echo_server [--host H] [--port P] [--tls CERT KEY] [--loops N] [--deflate] [--max-message-bytes N]
//
// Prints one line when it accepts connections. SIGINT and SIGTERM close them with 1001 and end it.
#include <linkspan.hpp>

#include <charconv>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <optional>
#include <stdexcept>

struct Echo {
    void on_message(linkspan::Connection connection, linkspan::Kind kind, linkspan::Payload data) {
        // Above the high-water mark nothing more is read until what waits has left.
        if (connection.send(kind, data) == LINKSPAN_BUFFERED) connection.pause();
    }
    void on_drained(linkspan::Connection connection) { connection.resume(); }
};

// The value of an option as a number.
template <class Number>
static Number number(const std::string &option, std::string_view value) {
    Number n{};
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (error != std::errc() || end != value.data() + value.size())
        throw std::runtime_error(option + " needs a smaller number than '" + std::string(value) + "'");
    return n;
}

static int serve(int argc, char **argv) {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    std::optional<linkspan::Tls> tls;
    linkspan::Config config;
    linkspan::ServerOptions options;
    options.config = &config;

    for (int i = 1; i < argc; i++) {
        const std::string option = argv[i];
        const auto value = [&] {
            if (++i >= argc) throw std::runtime_error(option + " needs a value");
            return argv[i];
        };
        if (option == "--host") {
            host = value();
        } else if (option == "--port") {
            port = number<std::uint16_t>(option, value());
        } else if (option == "--tls") {
            const std::string certificate = value(), key = value();
            tls = linkspan::Tls::server(certificate, key);
            options.tls = tls->raw();
        } else if (option == "--loops") {
            options.loops = number<std::uint16_t>(option, value());
        } else if (option == "--deflate") {
            config.deflate = 1;
        } else if (option == "--max-message-bytes") {
            config.max_message_bytes = config.max_frame_bytes = number<std::uint64_t>(option, value());
        } else {
            throw std::runtime_error("what is '" + option + "'? usage: echo_server [--host H] [--port P] "
                                     "[--tls CERT KEY] [--loops N] [--deflate] [--max-message-bytes N]");
        }
    }

    // Signals are waited for below; the library's own threads block them all.
    sigset_t signals;
    int signal;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    linkspan::Server server(Echo(), options);
    server.listen(host, port);
    server.start();
    const bool is_ipv6 = host.find(':') != std::string::npos;
    std::cout << "listening on " << (tls ? "wss" : "ws") << "://" << (is_ipv6 ? "[" + host + "]" : host) << ':'
              << server.port() << '/' << std::endl;

    sigwait(&signals, &signal);
    server.drain(std::chrono::seconds(5));
    server.wait();
    return 0;
}

int main(int argc, char **argv) {
    try {
        return serve(argc, argv);
    } catch (const std::exception &error) {
        std::cerr << "echo_server: " << error.what() << '\n';
        return 1;
    }
}
