//! What the AWS configuration file says that the SDK does not read, or keeps to itself. Pure, but
//! for [`text`].

use std::fs;

use super::Environment;
use crate::cli::MountArgs;

/// The text of the file, and the profile that holds; `None` if there is no such file.
pub(super) fn text<'a>(
    args: &'a MountArgs,
    environment: &'a Environment,
) -> Option<(String, &'a str)> {
    let text = fs::read_to_string(environment.profile_file.as_ref()?).ok()?;
    let profile = args.profile.as_deref().or(environment.profile.as_deref());
    Some((text, profile.unwrap_or("default")))
}

/// A setting of a profile in the text of `~/.aws/config`.
pub(super) fn setting<'t>(text: &'t str, profile: &str, name: &str) -> Option<&'t str> {
    let mut is_here = false;
    let mut found = None;
    for line in text.lines() {
        let is_nested = line.starts_with(char::is_whitespace);
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            let mut words = section.split_whitespace();
            is_here = match (words.next(), words.next()) {
                (Some("profile"), Some(found)) => found == profile,
                (Some("default"), None) => profile == "default",
                _ => false,
            };
        } else if is_here
            && !is_nested
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
        {
            found = Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    found
}

/// The address of the server for S3 in a profile: in the section of services that it names, or
/// else its own. `None` if it has none, or passes over what it has.
pub(super) fn endpoint_url<'t>(text: &'t str, profile: &str) -> Option<&'t str> {
    let ignores = setting(text, profile, "ignore_configured_endpoint_urls");
    if ignores.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let services = setting(text, profile, "services");
    let of_s3 = services.and_then(|name| of_service(text, name, "s3", "endpoint_url"));
    of_s3.or_else(|| setting(text, profile, "endpoint_url"))
}

/// A setting of one service in a section of services: it stands further in, below the service.
fn of_service<'t>(text: &'t str, services: &str, service: &str, name: &str) -> Option<&'t str> {
    let (mut is_here, mut is_service, mut found) = (false, false, None);
    for line in text.lines() {
        let is_nested = line.starts_with(char::is_whitespace);
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            let words: Vec<&str> = section.split_whitespace().collect();
            (is_here, is_service) = (words == ["services", services], false);
        } else if is_here
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            match is_nested {
                false => is_service = key.trim().eq_ignore_ascii_case(service),
                true if is_service && key.trim().eq_ignore_ascii_case(name) => {
                    found = Some(value.trim()).filter(|value| !value.is_empty());
                }
                true => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_that_of_its_profile() {
        let text = "ca_bundle = /none\n[default]\n# ca_bundle = /no\nregion = x\nca_bundle = /a\n\
            [profile work]\nCA_BUNDLE=/b\ns3 =\n  ca_bundle = /nested\n[sso-session work]\nca_bundle = /c\n";
        let of = |profile| setting(text, profile, "ca_bundle");
        assert_eq!((of("default"), of("work"), of("sso-session")), (Some("/a"), Some("/b"), None));
        assert_eq!(setting("[default]\nca_bundle =\n", "default", "ca_bundle"), None);
    }
    #[test]
    fn the_address_for_s3_is_that_of_the_services_or_else_of_the_profile() {
        let text = "[default]\nendpoint_url = http://own\n[profile both]\nservices = mine\n\
            endpoint_url = http://own\n[profile off]\nendpoint_url = http://own\n\
            ignore_configured_endpoint_urls = true\n[services mine]\nec2 =\n  \
            endpoint_url = http://ec2\ns3 =\n  endpoint_url = http://s3\n\
            [services other]\ns3 =\n  endpoint_url = http://no\n[profile aws]\nregion = x\n";
        let of = |profile| endpoint_url(text, profile);
        assert_eq!((of("default"), of("both")), (Some("http://own"), Some("http://s3")));
        assert_eq!((of("off"), of("aws"), of("none")), (None, None, None));
    }
}
