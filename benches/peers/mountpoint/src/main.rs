//! `mount-s3` for the benchmarks: the library of Mountpoint for Amazon S3 as it is
//! published (mountpoint-s3-fs 0.11.0), with a main function that is not AWS's.
//!
//! It takes the flags of the real program that the benchmarks use, under the same
//! names and with the same defaults, and serves in the foreground only. What decides
//! how fast a mount is comes from the library; what this file decides for it is in
//! [`mount`], with the reason where the library has no default of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use mountpoint_s3_client::config::{AddressingStyle, S3ClientAuthConfig};
use mountpoint_s3_client::instance_info::InstanceInfo;
use mountpoint_s3_client::user_agent::UserAgent;
use mountpoint_s3_fs::data_cache::{
    CacheLimit, DataCacheConfig, DiskDataCacheConfig, ManagedCacheDir,
};
use mountpoint_s3_fs::fs::{CacheConfig, TimeToLive};
use mountpoint_s3_fs::fuse::config::{FuseOptions, FuseSessionConfig, MountPoint};
use mountpoint_s3_fs::fuse::session::FuseSession;
use mountpoint_s3_fs::logging::{LoggingConfig, init_logging};
use mountpoint_s3_fs::memory::{
    CandidateSize, MINIMUM_MEM_LIMIT, PagedPool, effective_total_memory,
};
use mountpoint_s3_fs::s3::config::{
    ClientConfig, MemoryLimitSetting, PartConfig, TargetThroughputSetting,
};
use mountpoint_s3_fs::s3::{Bucket, Prefix, S3Path, S3Personality};
use mountpoint_s3_fs::{
    MountpointConfig, Runtime, S3FilesystemConfig, Superblock, SuperblockConfig, autoconfigure,
    metrics,
};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// The examples of the library say that the real program sets this.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8] = b"abort_conf:true,background_thread:true,narenas:32\0";

const VERSION: &str =
    "0.11.0: mountpoint-s3-fs 0.11.0 from crates.io with the main function of s3mem's benchmarks";

#[derive(Debug, Parser)]
#[command(name = "mount-s3", version = VERSION, about = "Mounts an S3 bucket, for s3mem's benchmarks")]
struct Arguments {
    /// The bucket
    bucket: String,

    /// An empty folder to mount it on
    directory: PathBuf,

    /// Needed: this program does not go into the background
    #[arg(short, long)]
    foreground: bool,

    /// Refuse whatever changes something
    #[arg(long)]
    read_only: bool,

    /// Let objects be deleted
    #[arg(long)]
    allow_delete: bool,

    /// Let objects be overwritten
    #[arg(long)]
    allow_overwrite: bool,

    /// The bucket's region [default: as the library finds it]
    #[arg(long)]
    region: Option<String>,

    /// Where the server is [default: AWS]
    #[arg(long)]
    endpoint_url: Option<String>,

    /// Name the bucket in the path, not in the host
    #[arg(long)]
    force_path_style: bool,

    /// The bytes of each part of a GET and an upload
    #[arg(long, default_value_t = 8 << 20)]
    part_size: usize,

    /// How long metadata are believed: SECONDS, indefinite or minimal [default: minimal, and 60
    /// with --cache]
    #[arg(long)]
    metadata_ttl: Option<TimeToLive>,

    /// A folder for a cache on disk, which is emptied when the mount begins and ends
    #[arg(long)]
    cache: Option<PathBuf>,

    /// The MiB that it may hold [default: all but 5 % of the disk]
    #[arg(long, requires = "cache")]
    max_cache_size: Option<usize>,

    /// The threads that serve the kernel, at most
    #[arg(long, default_value_t = 16)]
    max_threads: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, which the benchmarks show.
            eprintln!("mount-s3: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The blocks of the cache on disk.
const CACHE_BLOCK_BYTES: u64 = 1 << 20;
/// How long metadata are believed where there is such a cache.
const TTL_WITH_CACHE: Duration = Duration::from_secs(60);

fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.foreground {
        bail!("say --foreground: unlike AWS's mount-s3, this one has no background");
    }
    let _logging = init_logging(LoggingConfig {
        log_file: None,
        log_to_stdout: true,
        default_filter: format!("warn,awscrt=off,{}=off", metrics::TARGET_NAME),
    })?;
    let _metrics = metrics::install(None)?;
    // As AWS's program does, and its library's example.
    let folder = arguments.cache.as_deref();
    let folder = folder
        .map(|folder| ManagedCacheDir::new_from_parent_with_cache_key(folder, None, true))
        .transpose()?;
    mount(arguments, folder.as_ref())?.join()
}

fn mount(arguments: &Arguments, cache: Option<&ManagedCacheDir>) -> Result<FuseSession> {
    let path = S3Path::new(Bucket::new(&arguments.bucket)?, Prefix::empty());
    let instance = InstanceInfo::new();

    // Of the machine's memory, 95 % or what the library needs at least.
    let memory = (effective_total_memory() as f64 * 0.95) as usize;
    let memory = memory.max(MINIMUM_MEM_LIMIT);
    let parts = PartConfig::with_part_size(arguments.part_size)
        .validate(MemoryLimitSetting::Default(memory))?;
    let pool = PagedPool::config()
        .with_candidate_sizes([
            CandidateSize::prunable(parts.read_size_bytes),
            CandidateSize::new(parts.write_size_bytes),
        ])
        .with_memory_limit(memory)
        .build();

    // What the EC2 instance has; elsewhere the library's 10 Gbit/s.
    let throughput = match autoconfigure::network_throughput(&instance) {
        Ok(gbps) => TargetThroughputSetting::Instance { gbps },
        Err(_) => TargetThroughputSetting::Default,
    };
    let client = ClientConfig {
        region: autoconfigure::get_region(&instance, arguments.region.clone()),
        endpoint_url: arguments.endpoint_url.clone(),
        addressing_style: if arguments.force_path_style {
            AddressingStyle::Path
        } else {
            AddressingStyle::Automatic
        },
        dual_stack: false,
        transfer_acceleration: false,
        auth_config: S3ClientAuthConfig::Default,
        requester_pays: false,
        expected_bucket_owner: None,
        throughput_target: throughput,
        bind: None,
        part_config: parts,
        user_agent: UserAgent::new_with_instance_info(
            Some("mountpoint-s3-fs/0.11.0 s3mem-benchmark".to_owned()),
            &instance,
        ),
        tls_config: None,
    }
    .create_client(pool.clone(), Some(&path))
    .context("no S3 client")?;
    let runtime = Runtime::new(client.event_loop_group());

    let personality = S3Personality::infer_from_bucket(&path.bucket, &client.endpoint_config());
    let filesystem = S3FilesystemConfig {
        cache_config: CacheConfig::new(arguments.metadata_ttl.unwrap_or(match cache {
            Some(_) => TimeToLive::Duration(TTL_WITH_CACHE),
            None => TimeToLive::Minimal,
        })),
        allow_delete: arguments.allow_delete,
        allow_overwrite: arguments.allow_overwrite,
        read_only: arguments.read_only,
        s3_personality: personality,
        ..S3FilesystemConfig::default()
    };
    let superblock = Superblock::new(
        client.clone(),
        path,
        SuperblockConfig {
            cache_config: filesystem.cache_config.clone(),
            s3_personality: personality,
        },
    );
    let session = FuseSessionConfig::new(
        MountPoint::new(&arguments.directory)?,
        FuseOptions { read_only: arguments.read_only, ..FuseOptions::default() },
        arguments.max_threads,
    )?;
    let limit = arguments
        .max_cache_size
        .map_or_else(CacheLimit::default, |mib| CacheLimit::TotalSize { max_size: mib << 20 });
    let data_cache = DataCacheConfig {
        disk_cache_config: cache.map(|folder| DiskDataCacheConfig {
            cache_directory: folder.as_path_buf(),
            block_size: CACHE_BLOCK_BYTES,
            limit,
        }),
        ..DataCacheConfig::default()
    };
    MountpointConfig::new(session, filesystem, data_cache)?
        .create_fuse_session(superblock, client, runtime, pool)
        .context("no mount")
}
