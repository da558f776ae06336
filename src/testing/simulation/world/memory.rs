//! The memory of a machine's node, as far as faults spoil it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use actix::Addr;

use crate::actors::kv::KvActor;
use crate::actors::messages::kv::StoreFault;

/// The faults of a machine's memory.
#[derive(Default)]
pub(crate) struct Memory {
    /// The actor with the store of the current life.
    pub(crate) kv: RefCell<Option<Addr<KvActor>>>,
    /// The fault that was inflicted last, and the life that it was inflicted on.
    pub(crate) fault: Cell<Option<(u64, StoreFault)>>,
    /// True while a snapshot on the disk may be that of a store that differs.
    pub(crate) may_be_on_disk: Cell<bool>,
    /// The lives whose store differs from that of the others.
    differing_lives: RefCell<BTreeSet<u64>>,
}

impl Memory {
    /// A life begins.
    pub(crate) fn on_start(&self, life: u64) {
        *self.kv.borrow_mut() = None;
        if self.may_be_on_disk.get() {
            self.differing_lives.borrow_mut().insert(life);
        }
    }

    /// A fault is inflicted on this life.
    pub(crate) fn on_fault(&self, life: u64, fault: StoreFault) {
        self.fault.set(Some((life, fault)));
        if fault == StoreFault::Divergence {
            self.may_be_on_disk.set(true);
            self.differing_lives.borrow_mut().insert(life);
        }
    }

    /// This life was sent a store that may differ.
    pub(crate) fn on_misled(&self, life: u64) {
        self.may_be_on_disk.set(true);
        self.differing_lives.borrow_mut().insert(life);
    }

    /// The life has begun with nothing of what earlier ones had on the disk.
    pub(crate) fn on_new_beginning(&self, life: u64) {
        self.may_be_on_disk.set(false);
        self.differing_lives.borrow_mut().remove(&life);
    }

    /// True when the store of this life may differ from that of the others.
    pub(crate) fn may_differ_in(&self, life: u64) -> bool {
        self.differing_lives.borrow().contains(&life)
    }

    /// True when a fault is the reason for which this life finds that its store is not what it
    /// should be.
    pub(crate) fn is_to_blame(&self, life: u64) -> bool {
        self.may_differ_in(life) || self.fault.get().is_some_and(|(of, _)| of == life)
    }
}
