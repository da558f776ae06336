//! The data types that every part of the crate shares: ids, positions in the log,
//! entries, and summaries of a log that hold none of its entries.
//!
//! The types have no behaviour beyond arithmetic and encoding. `raft`, `kv` and `storage`
//! import only this module, so that none of them depends on another.
//!
//! | file | types |
//! |---|---|
//! | `address` | [`Address`], the host and port of a server |
//! | `ids` | [`NodeId`], [`Term`], [`LogIndex`], [`LogPosition`] |
//! | `format` | [`Format`], and the table of what each format has |
//! | `identity` | [`ClusterId`], [`Incarnation`], [`BootId`] |
//! | `cluster_state` | [`ClusterState`], the facts that the log says about the cluster |
//! | `entry` | [`Entry`] and its [`Payload`] |
//! | `exact` | [`decode_exact`], decoding that ignores nothing |
//! | `membership` | [`Membership`], the members of the cluster |
//! | `member_request` | [`MemberRequest`] and [`TransferTarget`], the requests of operators |
//! | `hard_state` | [`HardState`], the term and the vote |
//! | `term_runs` | [`TermRuns`], the term of every index of a log |
//! | `log_line` | [`LogLine`], a message and its facts |
//! | `log_summary` | [`LogSummary`], the parts of a log that the core keeps in memory |
//! | `snapshot` | [`SnapshotId`] and [`SnapshotPoint`] |

mod address;
#[cfg(feature = "server")]
mod cluster_state;
#[cfg(feature = "server")]
mod divergence;
#[cfg(feature = "server")]
mod entry;
#[cfg(feature = "server")]
mod exact;
mod format;
#[cfg(feature = "server")]
mod hard_state;
mod identity;
mod ids;
#[cfg(feature = "server")]
mod log_line;
#[cfg(feature = "server")]
mod log_summary;
mod member_request;
mod membership;
#[cfg(feature = "server")]
mod snapshot;
#[cfg(feature = "server")]
mod term_runs;

pub use address::{Address, AddressError, HOST_BYTES_MAX};
#[cfg(feature = "server")]
pub use cluster_state::{ClusterHistory, ClusterState, is_quorum_without};
#[cfg(feature = "server")]
pub use divergence::Divergence;
#[cfg(feature = "server")]
pub use entry::{
    ENTRY_BYTES_MAX, ENTRY_OVERHEAD_BYTES, Entry, Payload, PayloadError, STAMP_MS_MAX,
};
#[cfg(feature = "server")]
pub use exact::{decode_exact, is_at_end};
pub use format::{FORMATS, Format, FormatInForce, FormatRange, FormatRow, SINCE_BYTES_MAX};
#[cfg(feature = "server")]
pub use hard_state::HardState;
pub use identity::{BootId, ClusterId, Incarnation};
pub use ids::{LogIndex, LogPosition, NodeId, Term};
#[cfg(feature = "server")]
pub use log_line::{DETAIL, Fact, LogLine};
#[cfg(feature = "server")]
pub use log_summary::LogSummary;
pub use member_request::{MemberOperation, MemberRequest, Tolerance, TransferTarget};
pub use membership::{
    Change, ChangeKind, ENDED_CHANGES_MAX, EndedChange, MEMBERS_MAX, Member, Membership,
    REMOVED_MAX, SeedMembership,
};
#[cfg(feature = "server")]
pub use snapshot::{SnapshotId, SnapshotPoint};
#[cfg(feature = "server")]
pub use term_runs::TermRuns;
