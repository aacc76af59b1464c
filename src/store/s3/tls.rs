//! Why there is no connection by TLS, in words that say what to do.

/// What rustls says, and what it means.
const REASONS: &[(&str, &str)] = &[
    // Plain HTTP came back.
    ("InvalidContentType", "the server does not speak HTTPS; its address may begin with http://"),
    (
        "UnknownIssuer",
        "the server's certificate is signed by an authority that this machine doesn't know; if \
         that is your institution's own, give its file with --ca-bundle (AWS_CA_BUNDLE), or add \
         it to this machine (update-ca-certificates)",
    ),
    (
        "CaUsedAsEndEntity",
        "the server's certificate is that of an authority, as many that sign themselves are, \
         and no server may show such a one; give the server another certificate",
    ),
    (
        "certificate expired",
        "the server's certificate has expired, or the clock of this machine is wrong",
    ),
    (
        "not valid yet",
        "the server's certificate is not valid yet, or the clock of this machine is wrong",
    ),
    (
        "not valid for",
        "the server's certificate is for another name than that of its address; check the \
         address (--endpoint-url), or add --path-style if the bucket's name is put before it",
    ),
    ("Revoked", "the server's certificate was revoked"),
    ("invalid peer certificate", "the server's certificate can't be used"),
    (
        "HandshakeFailure",
        "the server and s3mem have no way of encryption in common; s3mem speaks TLS 1.2 and 1.3",
    ),
    (
        "ProtocolVersion",
        "the server and s3mem have no version of TLS in common; s3mem speaks TLS 1.2 and 1.3",
    ),
];

/// Other words in what rustls says, by which they are known too.
const ALSO: &[(&str, &str)] = &[
    ("Expired", "certificate expired"),
    ("NotValidYet", "not valid yet"),
    ("NotValidForName", "not valid for"),
];

/// Why there is no connection by TLS; `None` if it is for something else.
pub fn reason(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
    let says = |word: &str| causes.iter().any(|cause| cause.contains(word));
    let means = |word: &str| {
        says(word)
            || ALSO.iter().any(|(other, of)| *of == word && says(&format!("certificate: {other}")))
    };
    REASONS.iter().find(|(word, _)| means(word)).map(|(_, reason)| *reason)
}

/// An error and its causes, from above to below.
pub(super) fn causes<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn each_failure_of_tls_has_its_reason_in_plain_words() {
        for (told, words) in [
            ("invalid peer certificate: UnknownIssuer", "--ca-bundle"),
            ("invalid peer certificate: Expired", "has expired"),
            (
                "invalid peer certificate: certificate expired: verification time 1795902970 (UNIX), \
                 but certificate is not valid after 1700000000 (95902970 seconds ago)",
                "has expired",
            ),
            ("invalid peer certificate: NotValidYet", "clock"),
            (
                "invalid peer certificate: certificate not valid for name \"a\"; certificate is \
                 only valid for DnsName(\"b\")",
                "another name",
            ),
            ("invalid peer certificate: NotValidForName", "another name"),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "an authority"),
            ("invalid peer certificate: BadSignature", "can't be used"),
            ("received fatal alert: HandshakeFailure", "TLS 1.2"),
            ("received fatal alert: ProtocolVersion", "TLS 1.2"),
            ("received corrupt message of type InvalidContentType", "does not speak HTTPS"),
        ] {
            let error = io::Error::other(io::Error::other(told));
            let found = reason(&error).unwrap_or_else(|| panic!("{told}"));
            assert!(found.contains(words), "{told}: {found}");
        }
        for other in ["Connection refused", "dns error", "Expired", "operation timed out"] {
            assert_eq!(reason(&io::Error::other(other)), None, "{other}");
        }
    }
}
