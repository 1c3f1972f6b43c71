//! The `adjunct` command; everything is in the library, so that tests build the same code.

/// A handshake makes and drops some 180 objects, most of them rustls' and the library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    adjunct::main()
}
