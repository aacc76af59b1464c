//! The region to ask first. The service of a machine on AWS that tells its region
//! hangs on many other machines, so it is asked only where the answer is of use.

use std::time::Duration;

use aws_config::Region;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_s3::config::SharedHttpClient;
use tokio::time::timeout;

/// How long that service may take: on AWS it answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// The region that a variable or the profile names.
pub(super) async fn configured(profile: Option<&str>) -> Option<Region> {
    let mut of_profile = ProfileFileRegionProvider::builder();
    if let Some(name) = profile {
        of_profile = of_profile.profile_name(name);
    }
    let variables = EnvironmentVariableRegionProvider::new();
    RegionProviderChain::first_try(variables).or_else(of_profile.build()).region().await
}

/// The region that this machine is in, if it is one of AWS's and says so in time.
pub(super) async fn of_this_machine(connections: SharedHttpClient) -> Option<Region> {
    let client = ProviderConfig::without_region().with_http_client(connections);
    let service = imds::Client::builder().configure(&client).max_attempts(1).build();
    let provider = imds::region::ImdsRegionProvider::builder().configure(&client);
    let region = timeout(PATIENCE, provider.imds_client(service).build().region()).await;
    if region.is_err() {
        tracing::info!("this machine's metadata service does not say a region in time");
    }
    region.ok().flatten()
}
