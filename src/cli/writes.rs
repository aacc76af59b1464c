//! The flags of writing.

const HEADING_WRITES: &str = "Writing";

/// What programs may write, and where it goes.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct WriteArgs {
    /// What programs may write: deny, memory or upload [default: deny]
    #[arg(
        long, value_name = "WHERE", help_heading = HEADING_WRITES, conflicts_with = "read_only",
        long_help = "What programs may write. With 'deny', the default, nothing: the file system is \
            read-only. With 'memory' they can create, overwrite, rename and delete anything; it \
            stays in memory for as long as the mount lasts, and nothing in the bucket changes. With \
            'upload', a file is uploaded to the bucket when it is closed; objects that were there \
            before do not change without --allow-overwrite or --allow-delete (see below)."
    )]
    pub writes: Option<String>,

    /// How much memory written files may take [default: half of --memory]
    #[arg(
        long, value_name = "SIZE", help_heading = HEADING_WRITES,
        long_help = "How much memory all files that programs write may take together, such as 512M or \
            4G. It is taken from --memory. When it is full, programs get the error \"no space left on \
            device\". With --writes upload, a file that is written in order may be larger. The \
            default is half of --memory."
    )]
    pub write_memory: Option<String>,

    /// Let programs overwrite existing objects (with --writes upload)
    #[arg(
        long, help_heading = HEADING_WRITES,
        long_help = "Let programs overwrite objects that were there before. What this mount has made \
            itself they may overwrite in any case. For --writes upload."
    )]
    pub allow_overwrite: bool,

    /// Let programs delete and rename existing objects (with --writes upload)
    #[arg(
        long, help_heading = HEADING_WRITES,
        long_help = "Let programs delete and rename objects that were there before. What this mount has \
            made itself they may delete and rename in any case, so that programs which save a \
            file under another name and rename it work without this flag. For --writes upload."
    )]
    pub allow_delete: bool,

    /// Names that stay in memory, such as '*.aux.xml' (with --writes upload)
    #[arg(
        long, value_name = "PATTERN", num_args = 1.., help_heading = HEADING_WRITES,
        long_help = "Names of files and folders that stay in memory and are never uploaded, as patterns \
            with * and ?, such as '*.aux.xml' '.~lock*'. You can give several patterns, and repeat \
            the flag; put it after the mount point. For --writes upload."
    )]
    pub memory_only: Vec<String>,

    /// Allow renaming folders of up to this many objects [default: none] (with --writes upload)
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_WRITES,
        long_help = "Let programs rename a folder of up to this many objects. Each object is copied \
            inside the bucket, and then the old ones are deleted, which needs --allow-delete. \
            Without this flag, and for larger folders, programs are told to copy the files \
            themselves. For --writes upload."
    )]
    pub rename_directories: Option<u64>,

    /// When close returns: wait (until the file is uploaded) or later [default: wait]
    #[arg(
        long, value_name = "WHEN", help_heading = HEADING_WRITES,
        long_help = "When 'close' returns. With 'wait', the default, when the file is in the bucket, or \
            with the reason why it isn't. With 'later' at once: the file is safe in memory, and is \
            uploaded within a second, many at a time; 'fsync' still waits. An upload that fails is \
            reported by the next close or fsync of that file and by 's3mem status', and is tried again; \
            unmounting waits for it (see --on-unmount). What a daemon has not uploaded when it is \
            killed (kill -9) or the machine stops is lost. For --writes upload."
    )]
    pub on_close: Option<String>,

    /// If files are not in the bucket on unmount: wait, refuse or discard [default: wait]
    #[arg(
        long, value_name = "HOW", help_heading = HEADING_WRITES,
        long_help = "What to do if files are not in the bucket yet when the mount ends, because their \
            upload failed. With 'wait', the default, 's3mem umount' waits until they are there; with \
            'refuse' it fails and names them; with 'discard' they are lost, and it says so. With \
            'wait' and 'refuse' the daemon also sends them before it ends after SIGTERM or SIGINT, or \
            when somebody else unmounts; a second signal ends it at once. For --writes upload."
    )]
    pub on_unmount: Option<String>,

    /// The media type of new objects [default: by the name's ending]
    #[arg(long, value_name = "TYPE", help_heading = HEADING_WRITES)]
    pub content_type: Option<String>,

    /// The storage class of new objects, such as STANDARD_IA [default: the bucket's]
    #[arg(long, value_name = "CLASS", help_heading = HEADING_WRITES)]
    pub storage_class: Option<String>,

    /// Server-side encryption of new objects: AES256 or aws:kms [default: the bucket's]
    #[arg(long, value_name = "HOW", help_heading = HEADING_WRITES)]
    pub sse: Option<String>,

    /// The KMS key to encrypt new objects with
    #[arg(long, value_name = "KEY", help_heading = HEADING_WRITES)]
    pub sse_kms_key_id: Option<String>,
}

/// Whether a setting that nobody typed is of use to a mount with these writes. Who types such
/// a flag without --writes is told so; a file may have it for the mounts that write.
pub(super) fn means_something(name: &str, writes: Option<&str>) -> bool {
    match (name, writes) {
        ("write-memory", writes) => matches!(writes, Some("memory" | "upload")),
        (name, writes) if FOR_UPLOADS.contains(&name) => writes == Some("upload"),
        _ => true,
    }
}

const FOR_UPLOADS: [&str; 10] = [
    "allow-overwrite",
    "allow-delete",
    "memory-only",
    "rename-directories",
    "on-close",
    "on-unmount",
    "content-type",
    "storage-class",
    "sse",
    "sse-kms-key-id",
];
