//! The command line of the benchmarks; everything is in the library.

fn main() -> std::process::ExitCode {
    adjunct_bench::cli::main()
}
