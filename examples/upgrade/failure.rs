//! The failure of a round.

/// The reason why a round has failed, as a sentence for a person.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    /// A failure for this reason.
    pub fn new(reason: String) -> Failure {
        Failure(reason)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure(error.to_string())
    }
}
