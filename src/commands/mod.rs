//! The commands and queries of the store: the things that a client asks for.
//!
//! A client prints them, a server parses them, and the store executes them. They stand apart from
//! the store, so that a client is built without it (docs/adr/0034).
//!
//! | file | contents |
//! |---|---|
//! | `operation` | [`Operation`], the writes, and [`Once`], the prefix of their retries |
//! | `query` | [`Query`], the reads |
//! | `range` | [`KeyRange`], the keys that a read, a watch or a removal is about |
//! | `transaction` | [`Transaction`], several of them at one moment |

mod operation;
mod query;
mod range;
mod transaction;

pub use operation::{HistoryLimits, LEASE_ID_MAX, LEASE_TTL, Once, Operation};
pub use query::{Item, PageQuery, Query, VersionsQuery};
pub use range::{KeyRange, RangeQuery};
pub use transaction::{Compare, CompareTarget, Put, Relation, Transaction, TransactionOperation};
