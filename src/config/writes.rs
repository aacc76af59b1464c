//! What programs may write, from its flags.

use super::{ConfigError, size};
use crate::cli::WriteArgs;
use crate::fs::Writes;

/// Less than this is no room to write in.
const MIN_WRITE_BYTES: u64 = 1 << 20;

/// Checks the flags; how `memory_bytes` is shared: what is left for reading, and
/// what may be written.
pub(super) fn write_config(
    args: &WriteArgs,
    memory_bytes: u64,
    min_read_bytes: u64,
) -> Result<(u64, Writes), ConfigError> {
    match args.writes.as_deref() {
        None | Some("deny") if args.write_memory.is_some() => {
            return Err(ConfigError::WriteMemoryAlone);
        }
        None | Some("deny") => return Ok((memory_bytes, Writes::Deny)),
        Some("memory") => {}
        Some(text) => return Err(ConfigError::Writes(text.into())),
    }
    let limit_bytes = match args.write_memory.as_deref() {
        None => memory_bytes / 2,
        Some(text) => size::parse(text)
            .filter(|&bytes| bytes >= MIN_WRITE_BYTES)
            .ok_or_else(|| ConfigError::WriteMemory(text.into()))?,
    };
    let left = memory_bytes.saturating_sub(limit_bytes);
    if left < min_read_bytes {
        return Err(ConfigError::NoMemoryToRead {
            memory: size::show(memory_bytes),
            write_memory: size::show(limit_bytes),
        });
    }
    Ok((left, Writes::Memory { limit_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(
        writes: Option<&str>,
        write_memory: Option<&str>,
    ) -> Result<(u64, Writes), ConfigError> {
        let args = WriteArgs {
            writes: writes.map(str::to_owned),
            write_memory: write_memory.map(str::to_owned),
        };
        write_config(&args, 512 << 20, 64 << 20)
    }

    #[test]
    fn nothing_may_be_written_without_the_flag() {
        assert_eq!(with(None, None), Ok((512 << 20, Writes::Deny)));
        assert_eq!(with(Some("deny"), None), Ok((512 << 20, Writes::Deny)));
        assert_eq!(with(None, Some("1G")), Err(ConfigError::WriteMemoryAlone));
        assert_eq!(with(Some("disk"), None), Err(ConfigError::Writes("disk".into())));
    }

    #[test]
    fn memory_is_shared_between_reading_and_writing() {
        let memory = |limit_bytes| Writes::Memory { limit_bytes };
        assert_eq!(with(Some("memory"), None), Ok((256 << 20, memory(256 << 20))));
        assert_eq!(with(Some("memory"), Some("100M")), Ok((412 << 20, memory(100 << 20))));
        assert!(matches!(with(Some("memory"), Some("some")), Err(ConfigError::WriteMemory(_))));
        assert!(matches!(
            with(Some("memory"), Some("500M")),
            Err(ConfigError::NoMemoryToRead { .. })
        ));
    }
}
