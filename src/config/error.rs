//! What can be wrong with an argument or a variable, as sentences for the user.

use crate::cli::GivenFlag;
use crate::key::KeyError;
use crate::view::UnknownView;

/// Why an argument or a variable can't be used. Each is a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// What comes from a file or a variable of settings.
    #[error("{what}; {}", .places.join(", "))]
    Placed {
        /// What is wrong.
        what: Box<ConfigError>,
        /// Where each flag in question is set.
        places: Vec<String>,
    },
    /// The source is neither a bucket nor an access point.
    #[error(
        "\"{0}\" does not name a bucket: give BUCKET, BUCKET/PREFIX, s3://BUCKET/PREFIX or the ARN of \
         an access point; the address of a server goes into --endpoint-url"
    )]
    Source(String),
    /// All buckets, and others.
    #[error(
        "all buckets are shown already, those that are named too: give either s3:// (or --all-buckets) \
         or BUCKET[/PREFIX]..."
    )]
    AllAndOthers,
    /// The address of a web page or of a server, with a bucket in it.
    #[error("\"{url}\" is the address of a page. What it shows is mounted with: {command}")]
    Pasted {
        /// The text that was given.
        url: String,
        /// The command that was meant.
        command: String,
    },
    /// A folder where the bucket should be.
    #[error(
        "\"{folder}\" is a folder, and the bucket comes first. Did you mean: s3mem mount {bucket} \
         {folder}"
    )]
    Swapped {
        /// The first argument.
        folder: String,
        /// The second.
        bucket: String,
    },
    /// A `~` that no shell has replaced.
    #[error(
        "\"{0}\" begins with a ~ that the shell has left as it is, since it stands in quotes or \
         behind a =. Write $HOME instead; a folder of that name is ./~"
    )]
    Tilde(String),
    /// The bucket's name or the ARN does not parse.
    #[error("{0}")]
    Bucket(KeyError),
    /// A multi-region access point, which needs another way of signing.
    #[error(
        "\"{0}\" is a multi-region access point, which s3mem does not support; \
         mount one of the buckets behind it, or an access point in one region"
    )]
    MultiRegion(String),
    /// A bucket's ARN instead of an access point's.
    #[error("a bucket is mounted by its name, not by its ARN: give s3://{0}")]
    BucketArn(String),
    /// `--memory` is not a size.
    #[error(
        "--memory \"{0}\" is not a size: write a number and a unit, such as 512M, 2G or 1.5GiB"
    )]
    Memory(String),
    /// `--memory` is too little.
    #[error("--memory \"{0}\" is too little: s3mem needs at least 64M")]
    MemoryTooSmall(String),
    /// `--endpoint-url` or its variable is not the URL of a server.
    #[error(
        "{from} \"{url}\" is not the address of a server: it should look like https://s3.example.org or \
         http://localhost:9000"
    )]
    Endpoint {
        /// `--endpoint-url`, or the variable that was read instead.
        from: &'static str,
        /// The text that was given.
        url: String,
    },
    /// The URL has a password in it, which would end up in logs.
    #[error(
        "{0} contains a user name or a password; take it out, and give the credentials in \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or in a profile"
    )]
    EndpointWithPassword(&'static str),
    /// `--region` can't be a region's name.
    #[error("--region \"{0}\" is not the name of a region: it should look like eu-central-1")]
    Region(String),
    /// `--views` names something that is not a view.
    #[error("--views: {0}")]
    Views(#[from] UnknownView),
    /// `--list-views` names something that is never listed.
    #[error(
        "--list-views=\"{0}\" names what can't be listed: give some of png,preview,npy,tif,json, as in \
         --list-views=tif,preview, or --list-views alone for all five"
    )]
    ListViews(String),
    /// `--list-views` names siblings that `--views` leaves out.
    #[error(
        "--list-views={listed} names siblings that --views {views} leaves out: name them in both, or in \
         neither"
    )]
    ListedWithoutView {
        /// What `--list-views` says.
        listed: String,
        /// The kinds that there are.
        views: String,
    },
    /// `--preview-size` is not a number of pixels, or out of range.
    #[error("--preview-size \"{0}\" is not a valid size: give a number of pixels from 16 to 16384")]
    PreviewSize(String),
    /// `--preview-bands` is neither one band nor three.
    #[error(
        "--preview-bands \"{0}\" is not valid: give one band or three, counted from 1, such as 4,3,2"
    )]
    PreviewBands(String),
    /// `--list-views` lists compressed pictures where programs may write.
    #[error(
        "--list-views lists {listed}, which --png-compression fast makes whole before their sizes can \
         be shown: with --writes, 'cp -r' and 'git add' would have each image decoded. List others, as in \
         --list-views=npy,tif,json, or leave --png-compression out"
    )]
    ListedPacked {
        /// The kinds in question.
        listed: String,
    },
    /// `--png-compression` is neither `none` nor `fast`.
    #[error("--png-compression \"{0}\" is unknown: give 'none' or 'fast'")]
    PngCompression(String),
    /// There is no such place.
    #[error("--decoders \"{0}\" is not known: use workers or in-process")]
    Decoders(String),
    /// A limit is not a number above 0.
    #[error(
        "{flag} \"{text}\" is not a valid limit: write a number above 0, such as 20000, 16M or 2G"
    )]
    Number {
        /// The flag's name, with its dashes.
        flag: &'static str,
        /// What it says.
        text: String,
    },
    /// `--writes` is not `deny`, `memory` or `upload`.
    #[error("--writes \"{0}\" is unknown: give 'deny', 'memory' or 'upload'")]
    Writes(String),
    /// `--write-memory` is not a size, or too little.
    #[error(
        "--write-memory \"{text}\" is not a size of {least} or more: write a number and a unit, such as \
         512M or 2G"
    )]
    WriteMemory {
        /// What it says.
        text: String,
        /// The smallest size that is allowed, as people write it.
        least: String,
    },
    /// A flag of writing was given without the kind of `--writes` that it belongs to.
    #[error("{0} requires --writes {1}")]
    WritesAlone(&'static str, &'static str),
    /// `--memory-only` is not a valid pattern.
    #[error(
        "--memory-only \"{0}\" is not a pattern: write a name with * and ?, such as '*.aux.xml'"
    )]
    MemoryOnly(String),
    /// `--on-close` is neither `wait` nor `later`.
    #[error("--on-close \"{0}\" is unknown: give 'wait' or 'later'")]
    OnClose(String),
    /// `--on-unmount` is not `wait`, `refuse` or `discard`.
    #[error("--on-unmount \"{0}\" is unknown: give 'wait', 'refuse' or 'discard'")]
    OnUnmount(String),
    /// `--sse` is neither `AES256` nor `aws:kms`.
    #[error("--sse \"{0}\" is unknown: give 'AES256' or 'aws:kms'")]
    Sse(String),
    /// A KMS key was given for an encryption that uses none.
    #[error("--sse-kms-key-id is for --sse aws:kms, not for AES256")]
    SseKey,
    /// `--write-memory` leaves too little of `--memory` for reading.
    #[error(
        "--write-memory {write_memory} leaves too little of --memory {memory}: 64M are needed to read \
         with. Give more --memory, or less --write-memory"
    )]
    NoMemoryToRead {
        /// `--memory`, as people write sizes.
        memory: String,
        /// `--write-memory`, as people write sizes.
        write_memory: String,
    },
    /// `--profile` is empty.
    #[error(
        "--profile is empty: give the name of a profile in ~/.aws/config, or leave the flag out"
    )]
    Profile,
    /// `--expected-bucket-owner` is not the number of an account.
    #[error("--expected-bucket-owner \"{0}\" is not an AWS account: it should be 12 digits")]
    BucketOwner(String),
    /// A duration does not parse.
    #[error("{flag} \"{text}\" is not a time: give a number of seconds{extra}")]
    Seconds {
        /// The flag.
        flag: &'static str,
        /// What it says.
        text: String,
        /// What is allowed besides a number, to end the sentence; may be empty.
        extra: &'static str,
    },
    /// A user or group is not a number.
    #[error("{flag} \"{text}\" is not a number; '{command}' prints the number for a name")]
    Id {
        /// The flag.
        flag: &'static str,
        /// What it says.
        text: String,
        /// The command that prints the number for a name.
        command: String,
    },
    /// A mode is not an octal number.
    #[error("{flag} \"{text}\" is not a permission in octal: it should look like {example}")]
    Mode {
        /// The flag.
        flag: &'static str,
        /// What it says.
        text: String,
        /// A valid value, such as `0644`.
        example: &'static str,
    },
    /// `--listen` is not an address.
    #[error(
        "--listen \"{0}\" is not an address and a port: it should look like 127.0.0.1:8337 or [::1]:0"
    )]
    Listen(String),
    /// `--listen` is an address of the network, and anybody could ask.
    #[error(
        "--listen {0} can be reached by other machines: give a --token that everybody has to know, or \
         --allow-anyone if everybody may read"
    )]
    ListenToAll(String),
    /// `--token` is too short, or can't be part of a URL.
    #[error(
        "{0} is not a good token: it needs at least 16 letters, digits, '-', '_', '.' or '~', such as \
         'openssl rand -hex 16' prints"
    )]
    Token(&'static str),
    /// `--allow-host` is not a name.
    #[error("--allow-host \"{0}\" is not the name of a host: it should look like hub.example.org")]
    AllowHost(String),
    /// `--cors` is not an origin.
    #[error(
        "--cors \"{0}\" is not an origin: it should look like https://example.org or \
         http://localhost:3000, without a path"
    )]
    Cors(String),
    /// `--writes` was given for what is read alone.
    #[error("'s3mem serve' changes nothing: leave --writes out")]
    ServeWrites,
    /// The current folder has been deleted, so a relative path leads nowhere.
    #[error("\"{0}\" can't be looked up, because the folder that you are in no longer exists")]
    RelativePath(String),
    /// The indexes would be written into the mount itself.
    #[error("the folder {folder} of --index-cache lies inside the mount point; put it elsewhere")]
    IndexesInsideMount {
        /// The path of the folder, as an absolute one.
        folder: String,
    },
    /// The cache would be written into the mount itself.
    #[error("the folder {folder} of --cache-dir lies inside the mount point; put it elsewhere")]
    CacheInsideMount {
        /// The path of the folder, as an absolute one.
        folder: String,
    },
    /// `--cache-size` is no size, or too small a one.
    #[error("--cache-size \"{0}\" is not a size of at least 16M; write it like 512M or 100G")]
    CacheSize(String),
    /// There is nothing that it is the size of.
    #[error("--cache-size has no effect without --cache-dir: say where the cache is to be")]
    CacheSizeAlone,
    /// `--shared-cache` is no folder of a bucket.
    #[error("--shared-cache \"{0}\" is not a folder of a bucket; write it like s3://BUCKET/PREFIX")]
    SharedCache(String),
    /// There is nothing that the flag could be about.
    #[error("{0} has no effect without --shared-cache: say where the shared cache is")]
    SharedCacheAlone(&'static str),
    /// The key of `--shared-cache-key` can't be used.
    #[error("the key in {file} (--shared-cache-key) can't be used: {reason}")]
    SharedCacheKey {
        /// The path of the file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `--metrics` is no address.
    #[error(
        "--metrics \"{0}\" is not an address: give a port of this machine, such as 9310, or an \
         address and a port, such as 127.0.0.1:9310 or [::1]:9310"
    )]
    Metrics(String),
    /// `--prices` can't be read, or is no list of prices.
    #[error("the prices in {file} (--prices) can't be used: {why}")]
    Prices {
        /// The path of the file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The log would be written into the mount itself.
    #[error("the file {log} lies inside the mount point; put it somewhere else")]
    LogInsideMount {
        /// The path of the log or the trace, as it was given.
        log: String,
    },
}

impl ConfigError {
    /// Adds where the flags are set that it is about, if that is in a file or a variable.
    pub(crate) fn placed(self, given: &[GivenFlag]) -> ConfigError {
        let said = self.to_string();
        let names = |name: &str| {
            let flag = format!("--{name}");
            said.match_indices(&flag).any(|(at, _)| {
                let next = said[at + flag.len()..].chars().next();
                !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-')
            })
        };
        let places: Vec<String> = given
            .iter()
            .filter(|flag| names(&flag.name))
            .filter_map(|flag| Some(format!("{} sets --{}", flag.from.as_ref()?, flag.name)))
            .collect();
        match places.is_empty() {
            true => self,
            false => ConfigError::Placed { what: Box::new(self), places },
        }
    }
}
