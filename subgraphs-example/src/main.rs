//! Runs the example subgraphs and the REST upstream on the demo's ports until Ctrl-C or SIGTERM.
//!
//! Relies on the library of this package; nothing relies on it.

use std::io;
use std::process::ExitCode;

use subgraphs_example::{Addresses, Example, Upstream};
use tokio::signal::unix::{SignalKind, signal};

/// The benchmarks' other side should cost as little as it can.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("subgraphs-example: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> io::Result<()> {
    let example = Example::start(Addresses::demo()).await?;
    for upstream in Upstream::ALL {
        println!("{:<10} {}", upstream.name(), example.url(upstream));
    }
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
    }
}
