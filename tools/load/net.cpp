#include "net.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace load {
namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

Tls make_tls(const SSL_METHOD *method) {
    Tls tls(SSL_CTX_new(method));
    if (!tls) {
        throw std::runtime_error("no TLS context");
    }
    SSL_CTX_set_mode(tls.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls.get(), 1);
    return tls;
}

} // namespace

Tls server_tls(const std::string &certificate, const std::string &key) {
    Tls tls = make_tls(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(tls.get(), certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
        throw std::runtime_error("cannot use the certificate " + certificate);
    }
    return tls;
}

Tls client_tls() {
    return make_tls(TLS_client_method());
}

Wire::Wire(int fd, SSL_CTX *tls, bool server) : fd_(fd) {
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (server) {
        // what the kernel takes of a stream that nobody reads is not to be measured
        const int room = 128 * 1024;
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
    if (tls) {
        ssl_.reset(SSL_new(tls));
        SSL_set_fd(ssl_.get(), fd);
        server ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
    }
}

Wire::~Wire() {
    leave(false);
}

void Wire::leave(bool reset) {
    if (fd_ < 0) {
        return;
    }
    if (reset) {
        const linger hard{.l_onoff = 1, .l_linger = 0};
        setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    close(std::exchange(fd_, -1));
}

Io Wire::failed(int result) {
    const int why = SSL_get_error(ssl_.get(), result);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? Io::again : Io::closed;
}

Io Wire::read(std::span<char> into, std::size_t &n) {
    if (ssl_) {
        const int r = SSL_read_ex(ssl_.get(), into.data(), into.size(), &n);
        return r > 0 ? Io::ok : failed(r);
    }
    const ssize_t r = recv(fd_, into.data(), into.size(), 0);
    if (r > 0) {
        n = static_cast<std::size_t>(r);
        return Io::ok;
    }
    return r < 0 && (errno == EAGAIN || errno == EINTR) ? Io::again : Io::closed;
}

Io Wire::write(std::string_view bytes, std::size_t &n) {
    if (ssl_) {
        const int r = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n);
        return r > 0 ? Io::ok : failed(r);
    }
    const ssize_t r = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (r >= 0) {
        n = static_cast<std::size_t>(r);
        return Io::ok;
    }
    return errno == EAGAIN || errno == EINTR || errno == ENOTCONN ? Io::again : Io::closed;
}

int listen_on(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const sockaddr_in a = loopback(port);
    if (bind(fd, reinterpret_cast<const sockaddr *>(&a), sizeof a) < 0 || listen(fd, 4096) < 0) {
        throw std::runtime_error("cannot listen on port " + std::to_string(port));
    }
    return fd;
}

std::uint16_t port_of(int fd) {
    sockaddr_in a{};
    socklen_t n = sizeof a;
    getsockname(fd, reinterpret_cast<sockaddr *>(&a), &n);
    return ntohs(a.sin_port);
}

int connect_to(std::uint16_t port, int receive_buffer) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (receive_buffer > 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const sockaddr_in a = loopback(port);
    if (connect(fd, reinterpret_cast<const sockaddr *>(&a), sizeof a) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

} // namespace load
