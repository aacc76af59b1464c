//! A failed first request, explained to the person who wants to mount.
//!
//! Each kind of failure has a sentence that says what is wrong in the words of the
//! command line, and what to do. What the server or the system said comes last, for
//! those who can use it. Kinds have no wildcard arm: a new one must be given its
//! sentence.

use std::error::Error;
use std::iter;
use std::time::Duration;

use crate::config::{MountSettings, Source};
use crate::store::{StoreError, StoreErrorKind, tls_reason};

/// What was asked for, as far as the sentences need it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// The bucket or access point.
    pub(super) bucket: &'a str,
    /// The prefix, empty or ending in a slash.
    pub(super) prefix: &'a str,
    /// The server, if it is known not to be the region's.
    pub(super) endpoint_url: Option<&'a str>,
    /// The region that was asked for.
    pub(super) region: Option<&'a str>,
    /// The profile that was chosen.
    pub(super) profile: Option<&'a str>,
    /// Whether the bucket's name was asked for in the path, not in the host's name.
    pub(super) path_style: bool,
    /// The variable with the other half of the access key, where that alone is missing.
    pub(super) missing_half: Option<&'static str>,
    /// Whether requests carried no credentials.
    pub(super) anonymous: bool,
    /// Whether requests agreed to pay.
    pub(super) requester_pays: bool,
    /// The account that has to own the bucket.
    pub(super) expected_owner: Option<&'a str>,
    /// How long the server was given.
    pub(super) timeout: Duration,
}

impl<'a> Asked<'a> {
    pub(super) fn by(settings: &'a MountSettings) -> Self {
        Asked::about(settings, settings.source.one())
    }

    /// About one of several buckets, or about none of them.
    pub(super) fn about(settings: &'a MountSettings, source: Option<&'a Source>) -> Self {
        let of_arn = source.and_then(|source| source.bucket.arn_region());
        Asked {
            bucket: source.map_or("", |source| source.bucket.as_str()),
            prefix: source.map_or("", |source| source.prefix.as_str()),
            endpoint_url: settings.endpoint_url.as_deref(),
            region: settings.s3.region.as_deref().or(of_arn),
            profile: settings.profile.as_deref(),
            path_style: settings.s3.path_style,
            missing_half: settings.missing_half,
            anonymous: settings.s3.no_sign_request,
            requester_pays: settings.s3.requester_pays,
            expected_owner: settings.s3.expected_bucket_owner.as_deref(),
            timeout: settings.retry.request_timeout,
        }
    }

    /// The server, to stand in a sentence.
    fn server(&self) -> String {
        match (self.endpoint_url, self.region) {
            (Some(url), _) => format!("the server {url}"),
            (None, Some(region)) => format!("AWS in the region {region}"),
            (None, None) => "AWS".to_owned(),
        }
    }

    /// The resource that permissions are written for.
    fn arn(&self) -> String {
        if self.bucket.starts_with("arn:") {
            self.bucket.to_owned()
        } else {
            format!("arn:aws:s3:::{}", self.bucket)
        }
    }

    /// The host that was asked for, where it is the bucket's name before the server's.
    fn virtual_host(&self) -> Option<String> {
        let authority = self.endpoint_url?.split_once("://")?.1.split('/').next()?;
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let has_name = host.contains(char::is_alphabetic) && !host.contains(['[', ':']);
        (!self.bucket.is_empty() && !self.path_style && has_name && host != "localhost")
            .then(|| format!("{}.{authority}", self.bucket))
    }

    /// The server's address without the bucket, where it was given with it.
    fn endpoint_without_bucket(&self) -> Option<String> {
        let (scheme, rest) = self.endpoint_url?.trim_end_matches('/').split_once("://")?;
        let rest = rest
            .strip_suffix(self.bucket)
            .and_then(|rest| rest.strip_suffix('/'))
            .or_else(|| rest.strip_prefix(self.bucket)?.strip_prefix('.'))?;
        Some(format!("{scheme}://{rest}"))
    }

    fn login_command(&self) -> String {
        match self.profile {
            Some(profile) => format!("'aws sso login --profile {profile}'"),
            None => "'aws sso login'".to_owned(),
        }
    }
}

/// What is wrong and what to do about it.
pub(super) fn explain(error: &StoreError, asked: &Asked<'_>) -> String {
    let sentence = match &error.kind {
        StoreErrorKind::NoSuchBucket
        | StoreErrorKind::NotFound
        | StoreErrorKind::Unreachable
        | StoreErrorKind::Damaged
        | StoreErrorKind::NotS3
        | StoreErrorKind::Other
            if asked.endpoint_without_bucket().is_some() =>
        {
            format!(
                "the address {} has the bucket in it, which s3mem adds itself. Give --endpoint-url {}",
                asked.endpoint_url.unwrap_or_default(),
                asked.endpoint_without_bucket().unwrap_or_default()
            )
        }
        StoreErrorKind::NoSuchBucket => no_such_bucket(asked),
        // Without the code that S3 servers give, it may be anybody's 404.
        StoreErrorKind::NotFound => {
            format!(
                "{}. Check, too, that this is the address of an S3 server",
                no_such_bucket(asked)
            )
        }
        StoreErrorKind::AccessDenied => access_denied(error, asked),
        StoreErrorKind::NoCredentials => no_credentials(asked),
        StoreErrorKind::ExpiredCredentials => format!(
            "the AWS credentials have expired. Get new ones, for example with {}, and mount again",
            asked.login_command()
        ),
        StoreErrorKind::Settings => return unusable_settings(error, asked),
        StoreErrorKind::BadCredentials => bad_credentials(error, asked),
        StoreErrorKind::WrongRegion(region) => wrong_region(region.as_deref(), asked),
        StoreErrorKind::Unreachable if speaks_of_tls(error) => tls_failure(error, asked),
        StoreErrorKind::Unreachable if speaks_of_names(error) && asked.virtual_host().is_some() => {
            format!(
                "there is no server of the name {}. Most servers other than AWS want the bucket \
                 in the path: add --path-style. Or check the address {} (--endpoint-url, \
                 AWS_ENDPOINT_URL)",
                asked.virtual_host().unwrap_or_default(),
                asked.endpoint_url.unwrap_or_default()
            )
        }
        StoreErrorKind::Unreachable => unreachable_server(asked),
        StoreErrorKind::Timeout => format!(
            "{} did not answer within {} seconds. Check the address and the network; a slow server gets more time with --request-timeout",
            asked.server(),
            asked.timeout.as_secs_f64()
        ),
        StoreErrorKind::Transient | StoreErrorKind::ShortBody => format!(
            "{} is out of order or overloaded: every attempt failed, for {} seconds. \
             Try again later",
            asked.server(),
            asked.timeout.as_secs_f64()
        ),
        StoreErrorKind::Full => format!(
            "{} has no room left. Delete what is not needed, or ask its operators for more",
            asked.server()
        ),
        StoreErrorKind::Archived
        | StoreErrorKind::Changed
        | StoreErrorKind::RangeOutside
        | StoreErrorKind::Damaged
        | StoreErrorKind::NotS3
        | StoreErrorKind::Other => format!(
            "{} gave an answer that s3mem does not understand. Check that the address is that of an \
             S3 server, and not of its web page{}",
            asked.server(),
            match asked.virtual_host() {
                Some(host) => format!(
                    "; {host} was asked for, and most servers other than AWS need --path-style"
                ),
                None => String::new(),
            }
        ),
    };
    format!("{sentence}{}", said(error))
}

fn no_such_bucket(asked: &Asked<'_>) -> String {
    let whose = match asked.endpoint_url {
        Some(url) => format!("'aws s3 ls --endpoint-url {url}' lists those that exist"),
        None => "'aws s3 ls' lists yours, and a bucket that is not on AWS needs the address of \
                 its server, with --endpoint-url"
            .to_owned(),
    };
    format!(
        "there is no bucket \"{}\" on {}. Check the spelling: {whose}",
        asked.bucket,
        asked.server()
    )
}

fn access_denied(error: &StoreError, asked: &Asked<'_>) -> String {
    let arn = asked.arn();
    let objects = if asked.bucket.starts_with("arn:") { "/object/*" } else { "/*" };
    let (permission, on) = missing_permission(error).map_or_else(
        || ("s3:ListBucket".to_owned(), arn.clone()),
        |name| {
            let on = if name == "s3:GetObject" { format!("{arn}{objects}") } else { arn.clone() };
            (name, on)
        },
    );
    let mut sentence = if asked.anonymous {
        format!(
            "no access to the bucket \"{}\" without credentials: it does not let everybody list it \
             (the permission {permission} on {on}). Leave out --no-sign-request to use your AWS credentials",
            asked.bucket
        )
    } else {
        format!(
            "no access to the bucket \"{}\": your credentials lack the permission {permission} on {on}. \
             Ask its owner for it, and for s3:GetObject on {arn}{objects} to read the files",
            asked.bucket
        )
    };
    if !asked.prefix.is_empty() && !asked.anonymous {
        sentence +=
            "; if you may see only another part of the bucket, mount BUCKET/PREFIX of that part";
    }
    if !asked.requester_pays {
        sentence += ". If the bucket charges its readers, add --requester-pays";
    }
    if let Some(owner) = asked.expected_owner {
        sentence +=
            &format!(". Or it does not belong to the account {owner} (--expected-bucket-owner)");
    }
    sentence
}

/// The permission that AWS names in its message: "not authorized to perform: s3:X on".
fn missing_permission(error: &StoreError) -> Option<String> {
    let (_, behind) = error.detail.split_once("not authorized to perform: ")?;
    let name: String = behind
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-'))
        .collect();
    name.contains(':').then_some(name)
}

/// Settings that the SDK refuses, in its own words.
fn unusable_settings(error: &StoreError, asked: &Asked<'_>) -> String {
    let detail = &error.detail;
    let text = detail.to_lowercase();
    let is_elsewhere = asked.endpoint_url.is_some();
    if is_elsewhere && (text.contains("fips") || text.contains("dual")) {
        return format!(
            "FIPS and dual-stack endpoints are AWS's own and do not go together with another \
             server. Leave out --endpoint-url (AWS_ENDPOINT_URL), or AWS_USE_FIPS_ENDPOINT and \
             AWS_USE_DUALSTACK_ENDPOINT (in a profile use_fips_endpoint and \
             use_dualstack_endpoint) ({detail})"
        );
    }
    detail.clone()
}

fn no_credentials(asked: &Asked<'_>) -> String {
    if let Some(missing) = asked.missing_half {
        return format!(
            "only one half of an access key is in the environment: {missing} is not set. Set it, \
             or unset the other half to use a profile"
        );
    }
    match asked.profile {
        Some(profile) => format!(
            "no AWS credentials were found in the profile \"{profile}\". Check its name in \
             ~/.aws/config and ~/.aws/credentials, log in with {}, or add --no-sign-request \
             if the bucket is public",
            asked.login_command()
        ),
        None => "no AWS credentials were found. Set them up with 'aws configure' or 'aws sso login', or \
                 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile with --profile; \
                 a public bucket is read without any with --no-sign-request"
            .to_owned(),
    }
}

fn bad_credentials(error: &StoreError, asked: &Asked<'_>) -> String {
    let server = asked.server();
    if error.detail.contains("RequestTimeTooSkewed") {
        return format!(
            "{server} refuses the requests because this machine's clock is wrong. Set it, for \
             example with 'sudo timedatectl set-ntp true'"
        );
    }
    let what = if error.detail.contains("SignatureDoesNotMatch") {
        "the secret access key does not belong to the access key"
    } else {
        "it does not know the access key or the session token"
    };
    let elsewhere = match asked.endpoint_url {
        Some(_) => "and that they are meant for this server",
        None => "and that a bucket that is not on AWS is given with --endpoint-url",
    };
    format!(
        "{server} does not accept the credentials: {what}. Check AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY or the profile, {elsewhere}"
    )
}

fn wrong_region(region: Option<&str>, asked: &Asked<'_>) -> String {
    let bucket = asked.bucket;
    match (region, asked.endpoint_url) {
        (Some(region), None) => {
            format!("the bucket \"{bucket}\" is in another region. Mount it with --region {region}")
        }
        (Some(region), Some(url)) => format!(
            "the bucket \"{bucket}\" is in the region {region}, and {url} does not serve that region. Mount \
             it with --region {region} and the endpoint of that region, or without an endpoint if it \
             is on AWS"
        ),
        (None, _) => format!(
            "the bucket \"{bucket}\" is in another region or behind another endpoint than {}. \
             'aws s3api get-bucket-location --bucket {bucket}' tells which; give it with --region",
            asked.server()
        ),
    }
}

fn unreachable_server(asked: &Asked<'_>) -> String {
    match asked.endpoint_url {
        Some(url) => format!(
            "the server {url} can't be reached. Check that the address and the port are right \
             (--endpoint-url, AWS_ENDPOINT_URL), that it runs, and the network"
        ),
        None => format!(
            "{} can't be reached. Check the network and the name of the region; a bucket that is not on AWS needs the address of its server, with \
             --endpoint-url",
            asked.server()
        ),
    }
}

fn tls_failure(error: &StoreError, asked: &Asked<'_>) -> String {
    let server = asked.server();
    // rustls says so when plain HTTP comes back.
    if causes(error).any(|cause| cause.contains("InvalidContentType")) {
        return format!(
            "{server} does not speak HTTPS. If it is a server of your own network, give its \
             address as http://..."
        );
    }
    let reason = error.source().and_then(tls_reason);
    format!(
        "s3mem did not connect to {server}, since TLS failed: {}{}",
        reason.unwrap_or("the two do not agree"),
        match asked.virtual_host() {
            Some(host) => {
                format!(". If the certificate is not for the name {host}, add --path-style")
            }
            None => String::new(),
        }
    )
}

/// Whether the server's name could not be found.
fn speaks_of_names(error: &StoreError) -> bool {
    causes(error).any(|cause| cause.contains("dns error") || cause.contains("lookup"))
}

fn speaks_of_tls(error: &StoreError) -> bool {
    causes(error).any(|cause| {
        ["certificate", "InvalidContentType", "HandshakeFailure", "handshake", "TLS"]
            .iter()
            .any(|word| cause.contains(word))
    })
}

/// The texts of the causes below, from the top down.
fn causes(error: &StoreError) -> impl Iterator<Item = String> + '_ {
    let mut next = error.source();
    iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause.to_string())
    })
}

/// What the server said, or what the system said about the connection.
fn said(error: &StoreError) -> String {
    let id = error.request_id.as_deref().map(|id| format!(", request id {id}")).unwrap_or_default();
    let detail = error.detail.trim();
    match &error.kind {
        StoreErrorKind::Unreachable | StoreErrorKind::Timeout => match causes(error).last() {
            Some(cause) if !detail.contains(&cause) => format!(" ({detail}: {cause})"),
            _ => format!(" ({detail})"),
        },
        StoreErrorKind::NoCredentials | StoreErrorKind::ExpiredCredentials
            if error.request_id.is_none() =>
        {
            let told = causes(error).map(|cause| worth_telling(&cause));
            let told: Vec<String> = told.filter(|cause| !cause.is_empty()).collect();
            if told.is_empty() { String::new() } else { format!(" ({})", told.join(": ")) }
        }
        StoreErrorKind::NotFound
        | StoreErrorKind::NoSuchBucket
        | StoreErrorKind::AccessDenied
        | StoreErrorKind::NoCredentials
        | StoreErrorKind::ExpiredCredentials
        | StoreErrorKind::BadCredentials
        | StoreErrorKind::Settings
        | StoreErrorKind::WrongRegion(_)
        | StoreErrorKind::Archived
        | StoreErrorKind::Changed
        | StoreErrorKind::RangeOutside
        | StoreErrorKind::Full
        | StoreErrorKind::Transient
        | StoreErrorKind::ShortBody
        | StoreErrorKind::Damaged
        | StoreErrorKind::NotS3
        | StoreErrorKind::Other => format!(" (the server says: {detail}{id})"),
    }
}

/// What the providers of credentials say, without those that nobody has set up and
/// without the SDK's remark that credentials were being loaded.
fn worth_telling(cause: &str) -> String {
    let lines = cause.lines().map(str::trim);
    let says_nothing = |line: &str| {
        line.contains("was not enabled")
            || line.ends_with("Attempted:")
            || line == "an error occurred while loading credentials"
    };
    let telling = lines.filter(|line| !says_nothing(line));
    telling.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn asked() -> Asked<'static> {
        Asked {
            bucket: "tiles",
            prefix: "",
            endpoint_url: None,
            region: None,
            profile: None,
            path_style: false,
            missing_half: None,
            anonymous: false,
            requester_pays: false,
            expected_owner: None,
            timeout: Duration::from_secs(30),
        }
    }

    fn told(kind: StoreErrorKind, detail: &str, asked: &Asked<'_>) -> String {
        explain(&StoreError::new(kind, "LIST ", detail), asked)
    }

    fn unreachable(cause: io::Error) -> StoreError {
        let kind = StoreErrorKind::Unreachable;
        let mut error = StoreError::new(kind, "LIST ", "the server can't be reached");
        error.source = Some(Box::new(cause));
        error
    }

    #[test]
    fn a_name_that_does_not_exist_leads_to_path_style_and_one_with_the_bucket_to_the_server() {
        let url = "https://s3.example.org:9000/";
        let named = |endpoint_url| Asked { endpoint_url: Some(endpoint_url), ..asked() };
        let text = explain(&unreachable(io::Error::other("dns error")), &named(url));
        assert!(text.contains("no server of the name tiles.s3.example.org:9000"), "{text}");
        assert!(text.contains("add --path-style"), "{text}");
        let in_path = Asked { path_style: true, ..named(url) };
        let text = explain(&unreachable(io::Error::other("dns error")), &in_path);
        assert!(!text.contains("path-style") && text.contains("can't be reached"), "{text}");
        for url in ["https://s3.example.org/tiles", "https://tiles.s3.example.org/"] {
            let text = told(StoreErrorKind::NotFound, "NoSuchKey", &named(url));
            assert!(text.contains("Give --endpoint-url https://s3.example.org "), "{text}");
        }
        let text = told(StoreErrorKind::Other, "what", &named(url));
        assert!(text.contains("need --path-style"), "{text}");
        let text = told(StoreErrorKind::Other, "what", &named("http://10.0.0.1:9000"));
        assert!(!text.contains("path-style"), "{text}");
    }

    #[test]
    fn half_a_key_names_the_missing_variable() {
        let asked = Asked { missing_half: Some("AWS_SECRET_ACCESS_KEY"), ..asked() };
        let text = told(StoreErrorKind::NoCredentials, "", &asked);
        assert!(text.contains("AWS_SECRET_ACCESS_KEY is not set"), "{text}");
    }

    #[test]
    fn a_denial_names_the_permission_that_aws_names() {
        let detail = "AccessDenied: User: arn:aws:iam::1:user/me is not authorized to perform: \
                      s3:GetObject on resource: x (status 403)";
        let text = told(StoreErrorKind::AccessDenied, detail, &asked());
        assert!(
            text.contains("lack the permission s3:GetObject on arn:aws:s3:::tiles/*"),
            "{text}"
        );
    }

    #[test]
    fn a_denial_without_a_name_is_about_listing_and_thinks_of_paying() {
        let text = told(StoreErrorKind::AccessDenied, "AccessDenied: Access Denied", &asked());
        assert!(text.contains("s3:ListBucket on arn:aws:s3:::tiles"), "{text}");
        assert!(text.contains("--requester-pays"), "{text}");
        let paying = Asked { requester_pays: true, ..asked() };
        assert!(!told(StoreErrorKind::AccessDenied, "", &paying).contains("--requester-pays"));
    }

    #[test]
    fn an_anonymous_denial_says_to_use_credentials() {
        let text = told(StoreErrorKind::AccessDenied, "", &Asked { anonymous: true, ..asked() });
        assert!(text.contains("Leave out --no-sign-request"), "{text}");
    }

    #[test]
    fn a_bucket_elsewhere_is_followed_by_the_flag_that_helps() {
        let text = told(StoreErrorKind::WrongRegion(Some("eu-west-1".into())), "", &asked());
        assert!(text.contains("--region eu-west-1"), "{text}");
        let text = told(StoreErrorKind::WrongRegion(None), "", &asked());
        assert!(text.contains("get-bucket-location --bucket tiles"), "{text}");
    }

    #[test]
    fn an_unreachable_server_is_named_with_the_systems_reason() {
        let asked = Asked { endpoint_url: Some("http://localhost:1"), ..asked() };
        let cause = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let text = explain(&unreachable(cause), &asked);
        assert!(text.contains("http://localhost:1"), "{text}");
        assert!(text.contains("Connection refused"), "{text}");
    }

    #[test]
    fn a_certificate_and_a_plain_server_are_told_apart() {
        let told =
            |cause: &str| explain(&unreachable(io::Error::other(cause.to_owned())), &asked());
        let untrusted = told("invalid peer certificate: UnknownIssuer");
        assert!(
            untrusted.contains("doesn't know") && untrusted.contains("--ca-bundle"),
            "{untrusted}"
        );
        let expired = told("invalid peer certificate: Expired");
        assert!(expired.contains("has expired"), "{expired}");
        let plain = told("received corrupt message of type InvalidContentType");
        assert!(plain.contains("http://"), "{plain}");
    }

    #[test]
    fn providers_that_nobody_set_up_are_not_listed() {
        let chain = "no credentials found in chain. Attempted:\n  \
                     Environment: the credential provider was not enabled: x\n  \
                     Profile: the SSO token has no refresh token";
        assert_eq!(worth_telling(chain), "Profile: the SSO token has no refresh token");
    }

    #[test]
    fn every_kind_has_a_sentence_that_says_what_to_do_and_the_manual_has_it_too() {
        use StoreErrorKind::*;
        let manual = include_str!("../../docs/troubleshooting.md");
        let rows = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let words: Vec<&str> = rows.collect();
        for (kind, advice) in [
            (NotFound, "Check the spelling"),
            (NoSuchBucket, "Check the spelling"),
            (AccessDenied, "Ask its owner"),
            (NoCredentials, "aws configure"),
            (ExpiredCredentials, "aws sso login"),
            (BadCredentials, "Check AWS_ACCESS_KEY_ID"),
            (WrongRegion(None), "--region"),
            (Archived, "Check that the address"),
            (Changed, "Check that the address"),
            (RangeOutside, "Check that the address"),
            (Full, "Delete what is not needed"),
            (Transient, "Try again later"),
            (ShortBody, "Try again later"),
            (Timeout, "--request-timeout"),
            (Unreachable, "Check the network"),
            (NotS3, "Check that the address"),
            (Other, "Check that the address"),
        ] {
            let text = told(kind.clone(), "why", &asked());
            assert!(text.contains(advice), "{kind:?}: {text}");
            let is_there = words.iter().any(|words| text.contains(words));
            assert!(is_there, "{kind:?} is not in docs/troubleshooting.md: {text}");
        }
    }
}
