//! What somebody meant who gave the address of a bucket's web page or of a server instead
//! of a bucket. Pure.

/// The command that mounts what an http address leads to; `None` if it names no bucket.
pub(super) fn command_for(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('#').next().unwrap_or_default().trim_matches('/');
    let mount = |source: String| Some(format!("s3mem mount {source} MOUNTPOINT"));
    if host.ends_with("console.aws.amazon.com") {
        let (_, bucket) = path.split_once("buckets/").or_else(|| path.split_once("object/"))?;
        let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix="));
        return mount(joined(bucket, prefix.unwrap_or_default()));
    }
    if let Some(host) = host.strip_suffix(".amazonaws.com") {
        let is_server = |label: &str| label == "s3" || label.starts_with("s3-");
        if is_server(host.split('.').next().unwrap_or_default()) {
            return (!path.is_empty()).then(|| joined(path, "")).and_then(mount);
        }
        let at = host.find(".s3.").or_else(|| host.find(".s3-"));
        let bucket = at.map(|at| &host[..at]).or_else(|| host.strip_suffix(".s3"))?;
        return mount(joined(bucket, path));
    }
    if path.is_empty() || !matches!(scheme, "http" | "https") {
        return None;
    }
    Some(format!(
        "s3mem mount --endpoint-url {scheme}://{host} --path-style {} MOUNTPOINT",
        joined(path, "").trim_start_matches("s3://")
    ))
}

fn joined(bucket: &str, prefix: &str) -> String {
    let (bucket, prefix) = (bucket.trim_end_matches('/'), prefix.trim_matches('/'));
    match prefix {
        "" => format!("s3://{bucket}"),
        prefix => format!("s3://{bucket}/{prefix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_command_that_was_meant() {
        for (url, source) in [
            (
                "https://s3.console.aws.amazon.com/s3/buckets/tiles?region=eu-west-1&prefix=10/S/",
                "s3://tiles/10/S",
            ),
            ("https://eu-west-1.console.aws.amazon.com/s3/buckets/tiles?tab=objects", "s3://tiles"),
            ("https://tiles.s3.eu-west-1.amazonaws.com/10/S/", "s3://tiles/10/S"),
            ("https://tiles.s3-eu-west-1.amazonaws.com", "s3://tiles"),
            ("https://my.tiles.s3.amazonaws.com/a", "s3://my.tiles/a"),
            ("https://s3.eu-west-1.amazonaws.com/tiles/10", "s3://tiles/10"),
            (
                "https://minio.example.org:9000/tiles/10/",
                "--endpoint-url https://minio.example.org:9000 --path-style tiles/10",
            ),
        ] {
            let command = command_for(url);
            assert_eq!(command, Some(format!("s3mem mount {source} MOUNTPOINT")), "{url}");
        }
        for url in ["https://minio.example.org", "https://s3.amazonaws.com/", "ftp://x/y", "://"] {
            assert_eq!(command_for(url), None, "{url}");
        }
    }
}
