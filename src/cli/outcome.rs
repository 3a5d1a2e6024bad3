//! Outcome: how a command ended, as an exit code; and failures to read or write.
//!
//! Relied on by every command.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done: 0.
    Done,
    /// The input is wrong, and that was said: 1.
    Wrong,
    /// Something failed that is not the input's fault, and that was said: 3.
    Failed,
}

impl Outcome {
    /// The exit code. (2, for a wrong call, is given by the parser of arguments.)
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Wrong => 1,
            Self::Failed => 3,
        })
    }

    /// Says that the input is wrong.
    pub fn wrong(message: impl std::fmt::Display) -> Self {
        complain(message);
        Self::Wrong
    }

    /// Says that something failed.
    pub fn failed(message: impl std::fmt::Display) -> Self {
        complain(message);
        Self::Failed
    }
}

impl From<io::Error> for Outcome {
    fn from(error: io::Error) -> Self {
        // Whoever closes our standard output early, as `head` does, has what they want.
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Done } else { Self::failed(error) }
    }
}

/// Writes a line to standard error. When even that fails there is nobody to tell.
pub fn complain(message: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// Writes a line to standard output.
///
/// # Errors
/// It cannot be written.
pub fn print(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
