// linkspan/tls.hpp: certificates and trust.
#ifndef LINKSPAN_TLS_HPP
#define LINKSPAN_TLS_HPP

#include <linkspan/values.hpp>

#include <memory>

namespace linkspan {

namespace detail {

// Owns one of the library's pointers.
template <class Raw, void (*free)(Raw *)>
struct Free {
    void operator()(Raw *raw) const noexcept { free(raw); }
};
template <class Raw, void (*free)(Raw *)>
using Owner = std::unique_ptr<Raw, Free<Raw, free>>;

} // namespace detail

// Who we are and whom we trust, for wss://. May be destroyed as soon as it was given to a server or client.
// Any thread.
class Tls {
public:
    // A server's side: the certificate chain and its private key, two PEM files.
    static Tls server(const std::string &certificate_file, const std::string &key_file) {
        linkspan_tls *raw = nullptr;
        check(linkspan_tls_server_new(certificate_file.c_str(), key_file.c_str(), &raw));
        return Tls(raw);
    }
    // A client's side, which trusts the system's certificates.
    static Tls client() {
        linkspan_tls *raw = nullptr;
        check(linkspan_tls_client_new(&raw));
        return Tls(raw);
    }
    // A client's side, which trusts the certificates in this PEM file.
    static Tls client(const std::string &ca_file) {
        Tls tls = client();
        check(linkspan_tls_client_ca(tls.raw(), ca_file.c_str()));
        return tls;
    }
    // A client: trusts these beside the system's certificates.
    void add_ca(const std::string &file) { check(linkspan_tls_client_add_ca(raw(), file.c_str())); }
    // A client: who we are to servers that ask.
    void certificate(const std::string &certificate_file, const std::string &key_file) {
        check(linkspan_tls_client_certificate(raw(), certificate_file.c_str(), key_file.c_str()));
    }
    // A client: the server's key must be this one, "sha256/" and 44 characters, or another that was pinned.
    void pin(const std::string &pin) { check(linkspan_tls_client_pin(raw(), pin.c_str())); }
    // A client: the name that the server's certificate must bear, instead of the URL's host.
    void server_name(const std::string &name) { check(linkspan_tls_client_server_name(raw(), name.c_str())); }
    // A client: the application protocols (ALPN) that are offered.
    void alpn(const std::vector<std::string> &protocols) {
        std::vector<const char *> texts;
        for (const std::string &protocol : protocols) texts.push_back(protocol.c_str());
        check(linkspan_tls_client_alpn(raw(), texts.data(), texts.size()));
    }
    // A server: asks clients for a certificate by one of the issuers in this file.
    void client_ca(const std::string &file, bool is_required) {
        check(linkspan_tls_server_client_ca(raw(), file.c_str(), is_required));
    }
    // One more certificate of a server, picked by the name that a client asks for.
    void add_certificate(const std::string &certificate_file, const std::string &key_file) {
        check(linkspan_tls_add_certificate(raw(), certificate_file.c_str(), key_file.c_str()));
    }
    // Reads the files again; when anything is wrong with them the old certificates stay, and this throws.
    void reload() { check(linkspan_tls_reload(raw())); }
    linkspan_tls *raw() const noexcept { return raw_.get(); }

private:
    explicit Tls(linkspan_tls *raw) noexcept : raw_(raw) {}
    detail::Owner<linkspan_tls, linkspan_tls_free> raw_;
};

} // namespace linkspan

#endif
