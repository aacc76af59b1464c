//! Credentials as the AWS configuration gives them, without what a program that failed to
//! give any has written: that may hold a secret.

use std::iter;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider};

/// What the SDK says of a program of `credential_process` begins with this,
const PROCESS: &str = "Error retrieving credentials";
/// goes on with the status,
const EXITED: &str = "external process exited with code ";
/// and ends in all that the program wrote to standard error.
const STDERR: &str = ". Stderr:";

/// Which parts of the SDK log why there are no credentials or no region. Whoever asked is
/// told in one line, without what a program wrote, so these stay silent.
pub const SAID_BY_US: [&str; 6] = [
    "aws_config::imds",
    "aws_config::meta",
    "aws_config::profile::credentials",
    "aws_config::sso",
    "aws_config::sts",
    "aws_config::web_identity_token",
];

/// What may be told of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCredentials {
    /// The public half of the key.
    pub access_key_id: String,
    /// What the SDK calls the place where they were found.
    pub provider: String,
    /// Until when they hold, where that is known.
    pub expiry: Option<SystemTime>,
}

impl KnownCredentials {
    /// What may be told of these.
    pub(super) fn of(credentials: &Credentials) -> Self {
        // The SDK tells the place in no other way; it writes no secret there.
        let text = format!("{credentials:?}");
        let behind = text.split_once("provider_name: \"").map(|(_, behind)| behind);
        let provider = behind.and_then(|behind| behind.split('"').next()).unwrap_or("somewhere");
        KnownCredentials {
            access_key_id: credentials.access_key_id().to_owned(),
            provider: provider.to_owned(),
            expiry: credentials.expiry(),
        }
    }
}

/// A provider that does not repeat what a program wrote.
#[derive(Debug)]
pub(super) struct Discreet(pub(super) SharedCredentialsProvider);

impl ProvideCredentials for Discreet {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.0.provide_credentials().await.map_err(discreet)
        })
    }
}

/// The error, or one in its place if a program's words are among its causes.
fn discreet(error: CredentialsError) -> CredentialsError {
    let causes = iter::successors(Some(&error as &dyn std::error::Error), |cause| cause.source());
    let said = causes.map(ToString::to_string).find(|text| text.contains(PROCESS));
    match said {
        None => error,
        Some(text) => CredentialsError::provider_error(failure(&text)),
    }
}

/// What there is to say of a program that failed.
fn failure(said: &str) -> String {
    let behind = said.split_once(EXITED).map(|(_, behind)| behind);
    let Some((status, words)) = behind.and_then(|behind| behind.split_once(STDERR)) else {
        return "credential_process: the program can't be run, or its answer is not understood"
            .to_owned();
    };
    // Of all that it says this alone: the user is to be told to log in again.
    let expired =
        if words.to_lowercase().contains("expired") { ", credentials expired" } else { "" };
    format!("credential_process: the program failed ({status}{expired})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_credentials_the_place_is_told_and_no_secret() {
        let credentials = Credentials::new("AKID", "hidden", Some("token".into()), None, "Env");
        let told = KnownCredentials::of(&credentials);
        assert_eq!((told.access_key_id.as_str(), told.provider.as_str()), ("AKID", "Env"));
        let shown = format!("{told:?}");
        assert!(!shown.contains("hidden") && !shown.contains("token"), "{shown}");
    }

    #[test]
    fn what_a_program_wrote_is_not_repeated() {
        let failed = "Error retrieving credentials: external process exited with code exit status: 7. \
                      Stderr: token expired: hunter2. Stderr: x";
        let outer = CredentialsError::provider_error(CredentialsError::provider_error(failed));
        let shown = format!("{:?}", discreet(outer));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("the program failed (exit status: 7, credentials expired)"),
            "{shown}"
        );
        let strange =
            "Error retrieving credentials from external process, could not parse response: x";
        let shown = format!("{:?}", discreet(CredentialsError::provider_error(strange)));
        assert!(shown.contains("not understood") && !shown.contains("response: x"), "{shown}");
    }

    #[test]
    fn what_others_say_stays() {
        let shown = format!("{:?}", discreet(CredentialsError::not_loaded("no profile")));
        assert!(shown.contains("no profile"), "{shown}");
    }
}
