//! What the AWS configuration file says that the SDK does not read. Pure.

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
}
