//! [`Problem`]: why the command ends with a status that is not 0.

use linkspan::Error;

/// A status, and one sentence for the standard error where there is something to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: u8,
    pub(crate) sentence: Option<String>,
}

impl Problem {
    /// The connection, the server or the system: status 1.
    pub(crate) fn failed(sentence: impl Into<String>) -> Problem {
        Problem { status: 1, sentence: Some(sentence.into()) }
    }

    /// The command line: status 2.
    pub(crate) fn usage(sentence: impl Into<String>) -> Problem {
        Problem { status: 2, sentence: Some(sentence.into()) }
    }

    /// A signal: 128 and its number, as shells count.
    pub(crate) fn signalled(signal: i32) -> Problem {
        Problem { status: 128 + signal as u8, sentence: None }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            // What the options say cannot be: the same as a wrong command line.
            Error::Misuse(misuse) => Problem::usage(misuse.to_string()),
            error => Problem::failed(error.to_string()),
        }
    }
}
