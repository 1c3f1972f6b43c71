//! TLS without sockets.
