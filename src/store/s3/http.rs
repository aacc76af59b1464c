//! The HTTP client under the AWS SDK: connections, TLS, proxies.
//!
//! Contract: what the SDK's own default does, with ring for cryptography instead of
//! aws-lc, which builds for minutes and troubles cross compilers (docs/decisions/009-ring.md).
//! Certificates are the system's; `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` hold.

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};

/// A client with a pool of connections of its own.
pub(super) fn client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}
