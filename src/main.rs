//! The `tillstream` program: parses the command line and maps what comes back to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tillstream::cli::main()
}
