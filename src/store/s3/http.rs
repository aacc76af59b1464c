//! The HTTP client under the AWS SDK: connections, TLS, proxies.
//!
//! Contract: what the SDK's own default does, with ring for cryptography instead of
//! aws-lc, which builds for minutes and troubles cross compilers (docs/decisions/009-ring.md).
//! Certificates are the system's, and those of a file that is named; `HTTPS_PROXY`,
//! `HTTP_PROXY` and `NO_PROXY` hold.

use std::fs;
use std::path::Path;

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};

use super::error::unusable_certificates;
use super::proxies;
use crate::store::StoreError;

/// How a certificate begins in a file.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// A client with a pool of connections of its own, which trusts the certificates in
/// `ca_bundle` too.
///
/// # Errors
/// The file can't be read, or has no certificates.
pub(super) fn client(ca_bundle: Option<&Path>) -> Result<SharedHttpClient, StoreError> {
    let context = ca_bundle.map(trusting).transpose()?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        if let Some(context) = &context {
            connector.set_tls_context(context.clone());
        }
        connector.set_proxy_config(Some(proxies::of_environment()));
        connector.build()
    }))
}

/// How many certificates a file has, to be trusted besides the system's.
///
/// # Errors
/// The file can't be read, or has no certificates.
pub fn certificates(path: &Path) -> Result<usize, StoreError> {
    trusting(path)?;
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| unusable_certificates(path, &error.to_string()))?;
    Ok(text.matches(BEGIN).count())
}

fn trusting(path: &Path) -> Result<TlsContext, StoreError> {
    let unusable = |why: &str| unusable_certificates(path, why);
    let pem = fs::read(path).map_err(|error| unusable(&error.to_string()))?;
    // The SDK panics over what it can't read.
    if !are_certificates(&pem) {
        return Err(unusable("there are no certificates in it, or damaged ones"));
    }
    let mut store = TrustStore::default();
    store.add_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(store).build();
    context.map_err(|error| unusable(&error.to_string()))
}

/// Whether a file is made of certificates, each in the digits of base64.
fn are_certificates(pem: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(pem) else { return false };
    let mut blocks = text.split(BEGIN).skip(1).peekable();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    blocks.peek().is_some()
        && blocks.all(|block| {
            block.split_once("-----END CERTIFICATE-----").is_some_and(|(digits, _)| {
                let digits = digits.split_ascii_whitespace().collect::<String>();
                digits.starts_with("MI") && digits.len() % 4 == 0 && digits.bytes().all(is_digit)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        for (text, why) in [
            (None, "No such file"),
            (Some("hello"), "no certificates"),
            (Some("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----"), "damaged"),
            (Some("-----BEGIN CERTIFICATE-----\nMIIB"), "damaged"),
        ] {
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            let error = client(Some(&path)).unwrap_err();
            let detail = &error.detail;
            assert!(detail.contains(why) && detail.contains("ca.pem"), "{detail}");
        }
    }
}
