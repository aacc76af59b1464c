//! What programs may write, from its flags.

use std::path::PathBuf;
use std::sync::Arc;

use super::tree::Writes;
use super::{ConfigError, Environment, size};
use crate::cli::WriteArgs;
use crate::publish::{OnClose, RecordPlace, UploadConfig};
use crate::store::{Encryption, WriteSettings};
use crate::sys;

/// Less is of no use for writing; a file that is sent in parts needs room for a few.
const MIN_WRITE_BYTES: u64 = 1 << 20;
const MIN_UPLOAD_BYTES: u64 = 32 << 20;

/// What to do with files that are not in the bucket when the mount ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnmount {
    /// Wait until they are in the bucket.
    #[default]
    Wait,
    /// Refuse to unmount while there are any.
    Refuse,
    /// Lose them.
    Discard,
}

impl OnUnmount {
    /// Its word on the command line: `wait`, `refuse` or `discard`.
    pub fn name(self) -> &'static str {
        match self {
            OnUnmount::Wait => "wait",
            OnUnmount::Refuse => "refuse",
            OnUnmount::Discard => "discard",
        }
    }
}

/// Checks `--on-unmount`.
pub(super) fn on_unmount(args: &WriteArgs) -> Result<OnUnmount, ConfigError> {
    let ways = [OnUnmount::Wait, OnUnmount::Refuse, OnUnmount::Discard];
    match args.on_unmount.as_deref() {
        None => Ok(OnUnmount::default()),
        Some(text) => ways
            .into_iter()
            .find(|way| way.name() == text)
            .ok_or_else(|| ConfigError::OnUnmount(text.into())),
    }
}

/// How memory is shared, and what may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shared {
    /// What is left to read with, in bytes.
    pub(super) memory_bytes: u64,
    pub(super) writes: Writes,
}

/// Checks the flags of a mount of `bucket` that may hold `memory_bytes`, of which
/// reading needs `min_read_bytes`.
pub(super) fn write_config(
    args: &WriteArgs,
    environment: &Environment,
    bucket: &str,
    memory_bytes: u64,
    min_read_bytes: u64,
) -> Result<Shared, ConfigError> {
    let is_upload = match args.writes.as_deref() {
        None | Some("deny") => {
            if args.write_memory.is_some() {
                return Err(ConfigError::WritesAlone("--write-memory", "memory"));
            }
            only_for_upload(args)?;
            return Ok(Shared { memory_bytes, writes: Writes::Deny });
        }
        Some("memory") => {
            only_for_upload(args)?;
            false
        }
        Some("upload") => true,
        Some(text) => return Err(ConfigError::Writes(text.into())),
    };
    let least = if is_upload { MIN_UPLOAD_BYTES } else { MIN_WRITE_BYTES };
    let limit_bytes = match args.write_memory.as_deref() {
        None => memory_bytes / 2,
        Some(text) => size::parse(text).filter(|&bytes| bytes >= least).ok_or_else(|| {
            ConfigError::WriteMemory { text: text.into(), least: size::show(least) }
        })?,
    };
    let left = memory_bytes.saturating_sub(limit_bytes);
    if left < min_read_bytes {
        return Err(ConfigError::NoMemoryToRead {
            memory: size::show(memory_bytes),
            write_memory: size::show(limit_bytes),
        });
    }
    let writes = match is_upload {
        false => Writes::Memory { limit_bytes },
        true => {
            let uploads = upload_config(args, environment, bucket)?;
            Writes::Upload { limit_bytes, uploads }
        }
    };
    Ok(Shared { memory_bytes: left, writes })
}

fn upload_config(
    args: &WriteArgs,
    environment: &Environment,
    bucket: &str,
) -> Result<UploadConfig, ConfigError> {
    let pattern =
        |text: &String| glob::Pattern::new(text).map_err(|_| ConfigError::MemoryOnly(text.clone()));
    Ok(UploadConfig {
        allow_overwrite: args.allow_overwrite,
        allow_delete: args.allow_delete,
        content_type: args.content_type.as_deref().map(Arc::from),
        memory_only: args.memory_only.iter().map(pattern).collect::<Result<_, _>>()?,
        rename_objects: args.rename_directories.unwrap_or(0),
        on_close: on_close(args)?,
        record: RecordPlace { bucket: bucket.to_owned(), folder: record_folder(environment) },
        ..UploadConfig::default()
    })
}

/// Checks `--on-close`.
fn on_close(args: &WriteArgs) -> Result<OnClose, ConfigError> {
    match args.on_close.as_deref() {
        None | Some("wait") => Ok(OnClose::Wait),
        Some("later") => Ok(OnClose::Later),
        Some(text) => Err(ConfigError::OnClose(text.into())),
    }
}

/// Where unfinished uploads are written down: in memory that outlives the daemon.
fn record_folder(environment: &Environment) -> Option<PathBuf> {
    let folder = match sys::effective_uid() {
        0 => Some(PathBuf::from("/run")),
        _ => environment.runtime_folder.clone(),
    };
    folder.map(|folder| folder.join("s3mem"))
}

/// Storage class and encryption of what is written.
pub(super) fn write_settings(args: &WriteArgs) -> Result<WriteSettings, ConfigError> {
    let encryption = match (args.sse.as_deref(), &args.sse_kms_key_id) {
        (None, None) => Encryption::BucketDefault,
        (Some("AES256"), None) => Encryption::Aes256,
        (None | Some("aws:kms"), key) => Encryption::Kms { key: key.clone() },
        (Some("AES256"), Some(_)) => return Err(ConfigError::SseKey),
        (Some(text), _) => return Err(ConfigError::Sse(text.into())),
    };
    Ok(WriteSettings { storage_class: args.storage_class.clone(), encryption })
}

/// Refuses flags that only matter for uploads, in a mount that has none.
fn only_for_upload(args: &WriteArgs) -> Result<(), ConfigError> {
    let given = [
        ("--allow-overwrite", args.allow_overwrite),
        ("--allow-delete", args.allow_delete),
        ("--memory-only", !args.memory_only.is_empty()),
        ("--rename-directories", args.rename_directories.is_some()),
        ("--on-close", args.on_close.is_some()),
        ("--on-unmount", args.on_unmount.is_some()),
        ("--content-type", args.content_type.is_some()),
        ("--storage-class", args.storage_class.is_some()),
        ("--sse", args.sse.is_some()),
        ("--sse-kms-key-id", args.sse_kms_key_id.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(ConfigError::WritesAlone(flag, "upload")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(args: WriteArgs) -> Result<Shared, ConfigError> {
        write_config(&args, &Environment::default(), "bucket", 512 << 20, 64 << 20)
    }

    fn args(writes: Option<&str>, write_memory: Option<&str>) -> WriteArgs {
        WriteArgs {
            writes: writes.map(str::to_owned),
            write_memory: write_memory.map(str::to_owned),
            ..WriteArgs::default()
        }
    }

    #[test]
    fn nothing_may_be_written_without_the_flag() {
        let nothing = Shared { memory_bytes: 512 << 20, writes: Writes::Deny };
        assert_eq!(with(args(None, None)), Ok(nothing.clone()));
        assert_eq!(with(args(Some("deny"), None)), Ok(nothing));
        let alone = ConfigError::WritesAlone("--write-memory", "memory");
        assert_eq!(with(args(None, Some("1G"))), Err(alone));
        assert_eq!(with(args(Some("disk"), None)), Err(ConfigError::Writes("disk".into())));
    }

    #[test]
    fn memory_is_shared_between_reading_and_writing() {
        let shared = |left, limit_bytes| Shared {
            memory_bytes: left,
            writes: Writes::Memory { limit_bytes },
        };
        assert_eq!(with(args(Some("memory"), None)), Ok(shared(256 << 20, 256 << 20)));
        assert_eq!(with(args(Some("memory"), Some("100M"))), Ok(shared(412 << 20, 100 << 20)));
        let refused = with(args(Some("memory"), Some("some")));
        assert!(matches!(refused, Err(ConfigError::WriteMemory { .. })));
        let refused = with(args(Some("memory"), Some("500M")));
        assert!(matches!(refused, Err(ConfigError::NoMemoryToRead { .. })));
    }

    #[test]
    fn what_is_for_uploads_is_refused_without_them() {
        let flags = |writes: &str| WriteArgs { allow_delete: true, ..args(Some(writes), None) };
        let alone = ConfigError::WritesAlone("--allow-delete", "upload");
        assert_eq!(with(flags("memory")), Err(alone));
        let Ok(Shared { writes: Writes::Upload { uploads, .. }, .. }) = with(flags("upload"))
        else {
            panic!("uploads are allowed");
        };
        assert!(uploads.allow_delete && !uploads.allow_overwrite);
        let bad = WriteArgs { memory_only: vec!["[".into()], ..args(Some("upload"), None) };
        assert_eq!(with(bad), Err(ConfigError::MemoryOnly("[".into())));
    }

    #[test]
    fn unmounting_waits_for_files_unless_it_is_told_otherwise() {
        let told = |text: &str| {
            on_unmount(&WriteArgs { on_unmount: Some(text.into()), ..WriteArgs::default() })
        };
        assert_eq!(on_unmount(&WriteArgs::default()), Ok(OnUnmount::Wait));
        for way in [OnUnmount::Wait, OnUnmount::Refuse, OnUnmount::Discard] {
            assert_eq!(told(way.name()), Ok(way));
        }
        assert_eq!(told("hurry"), Err(ConfigError::OnUnmount("hurry".into())));
        let flags = WriteArgs { on_unmount: Some("wait".into()), ..args(Some("memory"), None) };
        let alone = ConfigError::WritesAlone("--on-unmount", "upload");
        assert_eq!(with(flags), Err(alone));
    }

    #[test]
    fn closing_waits_for_the_bucket_unless_it_is_told_otherwise() {
        let told = |text: Option<&str>| {
            let on_close = text.map(str::to_owned);
            match with(WriteArgs { on_close, ..args(Some("upload"), None) })?.writes {
                Writes::Upload { uploads, .. } => Ok(uploads.on_close),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told(None), Ok(OnClose::Wait));
        assert_eq!(told(Some("wait")), Ok(OnClose::Wait));
        assert_eq!(told(Some("later")), Ok(OnClose::Later));
        assert_eq!(told(Some("never")), Err(ConfigError::OnClose("never".into())));
        let flags = WriteArgs { on_close: Some("later".into()), ..args(Some("memory"), None) };
        assert_eq!(with(flags), Err(ConfigError::WritesAlone("--on-close", "upload")));
    }

    #[test]
    fn a_key_alone_means_encryption_with_it() {
        let sse = |sse: Option<&str>, key: Option<&str>| {
            let args = WriteArgs {
                sse: sse.map(str::to_owned),
                sse_kms_key_id: key.map(str::to_owned),
                ..WriteArgs::default()
            };
            write_settings(&args).map(|settings| settings.encryption)
        };
        assert_eq!(sse(None, None), Ok(Encryption::BucketDefault));
        assert_eq!(sse(Some("AES256"), None), Ok(Encryption::Aes256));
        let key = Encryption::Kms { key: Some("k".into()) };
        assert_eq!(sse(None, Some("k")), Ok(key));
        assert_eq!(sse(Some("AES256"), Some("k")), Err(ConfigError::SseKey));
        assert_eq!(sse(Some("rot13"), None), Err(ConfigError::Sse("rot13".into())));
    }
}
