//! The `tillstream` program: parses the command line and maps what comes back to an exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tillstream::cli::main()
}
