//! The `adjunct` command; everything is in the library, so that tests build the same code.
fn main() -> std::process::ExitCode {
    adjunct::main()
}
