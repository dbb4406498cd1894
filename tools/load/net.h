// Non-blocking connections, plain or with TLS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <openssl/ssl.h>
#include <span>
#include <string>
#include <string_view>

namespace load {

enum class Io : std::uint8_t { ok, again, closed };

struct SslFree {
    void operator()(SSL *ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX *ctx) const { SSL_CTX_free(ctx); }
};

using Tls = std::unique_ptr<SSL_CTX, SslFree>;

Tls server_tls(const std::string &certificate, const std::string &key);
Tls client_tls(); // verifies nothing: what is measured is on this machine

class Wire {
public:
    Wire(int fd, SSL_CTX *tls, bool server);
    ~Wire();
    Wire(const Wire &) = delete;
    Wire &operator=(const Wire &) = delete;

    int fd() const { return fd_; }

    Io read(std::span<char> into, std::size_t &n);
    Io write(std::string_view bytes, std::size_t &n);

    void leave(bool reset); // closes: with FIN, or with RST

private:
    Io failed(int result);

    int fd_;
    std::unique_ptr<SSL, SslFree> ssl_;
};

int listen_on(std::uint16_t port); // of 127.0.0.1; the port is chosen if it is 0
std::uint16_t port_of(int fd);
int connect_to(std::uint16_t port, int receive_buffer); // to 127.0.0.1; -1: failed

} // namespace load
