//! The commands of the command line by which scripts work together, against real servers: the
//! past, transactions, leases, watches, locks and elections.

mod common;

/// One file for each topic.
mod coordination {
    mod process;

    mod elections;
    mod leases;
    mod locks;
    mod losses;
    mod past;
    mod transactions;
    mod watches;
}
