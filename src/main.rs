//! The process: hands its arguments to the command line and ends with the exit code that comes back.

use std::process::ExitCode;

/// Requests allocate and free many small things on several threads; `benches/numbers.md` has what this allocator saves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    supergate::cli::run()
}
