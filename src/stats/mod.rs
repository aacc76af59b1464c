//! Counters of what the program did and what it cost.
//!
//! Every counter's name ends in its unit. Counters only ever grow; a reader takes
//! a [`Snapshot`] before and after and subtracts.

mod charges;
mod classes;
mod counter;
mod files;
mod latency;
mod requests;
mod trace;
mod under_way;

use std::sync::Arc;

pub use charges::{Charged, Charges};
pub use classes::{ByClass, ClassReads, STANDARD};
pub use counter::Counter;
pub use files::{FileUse, Files, Program};
pub use latency::{Distribution, Latencies, RequestKind, STEPS_SECONDS};
pub use requests::{Outcome, Request, Requests, Stage, Told};
pub use trace::{Fact, Facts, Span, Trace};
pub use under_way::{Sending, UnderWay};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The counters, shared by all who count.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: Counter,)+
            /// How long requests took.
            pub latencies: Latencies,
            /// What was read of each storage class.
            pub classes: ByClass,
            /// Bodies that are being sent now.
            pub uploads: UnderWay,
            /// Requests one by one.
            pub requests: Arc<Requests>,
            /// What was read of each object, and for whom.
            pub files: Files,
        }

        /// What the counters said at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Stats {
            /// What the counters say now.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.get(),)+ }
            }
        }

        impl Snapshot {
            /// Each counter's name, and what it said.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }

        impl std::ops::Sub for Snapshot {
            type Output = Snapshot;

            fn sub(self, earlier: Snapshot) -> Snapshot {
                Snapshot { $($name: self.$name - earlier.$name,)+ }
            }
        }
    };
}

counters! {
    /// LIST requests sent, each attempt counted. S3 charges 12.5 times a GET for one.
    list_requests,
    /// HEAD requests sent, each attempt counted.
    head_requests,
    /// GET requests sent, each attempt counted.
    get_requests,
    /// Object bytes that arrived.
    get_bytes,
    /// Requests sent that write (PutObject, CopyObject, and all that belongs to an
    /// upload in parts but giving it up), each attempt counted.
    put_requests,
    /// Bytes of objects and parts that the server took.
    put_bytes,
    /// DELETE requests sent, of objects and of unfinished uploads, each attempt counted.
    delete_requests,
    /// Requests and bodies that were tried again.
    retry_requests,
    /// Requests that failed, each attempt counted; "no such object" is not a failure.
    failed_requests,
    /// Requests that the server refused because there were too many (429, 503, SlowDown);
    /// they are among those that failed.
    throttled_requests,
    /// Reads of objects by programs, as far as the kernel asked for them.
    object_reads,
    /// Those of them whose bytes were all in memory.
    here_object_reads,
    /// Reads of siblings of images.
    sibling_reads,
    /// Those of them whose bytes were made before.
    here_sibling_reads,
    /// Bytes that programs were given.
    read_bytes,
    /// Names that were looked up in directories of the bucket.
    looked_up_names,
    /// Those of them that needed no request.
    here_looked_up_names,
    /// Tiles of images that siblings needed, each use counted.
    used_tiles,
    /// Those of them that were decoded before.
    here_used_tiles,
    /// Tiles that were decoded, or whole images of formats without tiles.
    decoded_tiles,
    /// Time from asking for such a tile until it was there, with its turn and its bytes.
    tile_microseconds,
    /// Time in decoders that are processes of their own.
    decoders_microseconds,
    /// Decoders that were stopped, since they took too long or too much, or broke.
    decoders_stopped,
}

impl Stats {
    /// New counters at zero.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_snapshots_is_what_was_counted_between() {
        let stats = Stats::new();
        stats.get_requests.add(2);
        let before = stats.snapshot();
        stats.get_requests.add(1);
        stats.get_bytes.add(100);
        let cost = stats.snapshot() - before;
        assert_eq!(cost, Snapshot { get_requests: 1, get_bytes: 100, ..Snapshot::default() });
        assert!(cost.named().contains(&("get_bytes", 100)));
    }
}
