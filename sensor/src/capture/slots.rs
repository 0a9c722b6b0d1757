//! Interface slots over all inputs: what goes into flow keys.
//! It must never give two interfaces that were captured at the same time one slot, nor cut a flow in two where one
//! capture goes on in the next file.
//!
//! An interface of an input that begins after another input has ended goes on in the slot of that one's interface if
//! name and link type agree: capture tools that rotate files leave such inputs. Captures that overlap in time are
//! different places and stay apart.

use std::sync::{Arc, PoisonError, RwLock};

use crate::capture::report::Interface;

/// Slots at most; further interfaces share the last. A made-up capture may describe any number.
const MAX_SLOTS: usize = 4096;

/// Names of the interfaces by slot, for whoever comes after the reader: they appear while it reads.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<RwLock<Vec<String>>>);

impl Names {
    /// The name of a slot's interface; empty where the file has none.
    pub fn get(&self, slot: u16) -> String {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::from(slot)).cloned().unwrap_or_default()
    }

    fn push(&self, name: String) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(name);
    }
}

/// Gives out slots.
#[derive(Debug, Default)]
pub(super) struct Slots {
    taken: Vec<Slot>,
    names: Names,
}

#[derive(Debug)]
struct Slot {
    interface: Interface,
    /// The input that uses it, or used it last.
    input: usize,
    file: String,
    /// No input uses it any more.
    free: bool,
}

impl Slots {
    /// The slot of an interface that appears in `input`, a file of this name.
    pub(super) fn take(&mut self, input: usize, file: &str, interface: &Interface) -> u16 {
        let best = self
            .taken
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.free && slot.interface == *interface)
            // Several captures that rotate side by side: those whose names begin alike belong together.
            .max_by_key(|(index, slot)| (common(&slot.file, file), std::cmp::Reverse(*index)))
            .map(|(index, _)| index);
        if let Some(index) = best {
            if let Some(slot) = self.taken.get_mut(index) {
                slot.free = false;
                slot.input = input;
                file.clone_into(&mut slot.file);
            }
            return index as u16;
        }
        if self.taken.len() < MAX_SLOTS {
            self.names.push(interface.name.clone().unwrap_or_default());
            self.taken.push(Slot {
                interface: interface.clone(),
                input,
                file: file.to_owned(),
                free: false,
            });
        }
        (self.taken.len() - 1) as u16
    }

    /// `input` has ended: its slots may go on in a later one.
    pub(super) fn release(&mut self, input: usize) {
        for slot in self.taken.iter_mut().filter(|slot| slot.input == input) {
            slot.free = true;
        }
    }

    /// Names of all slots, those to come included.
    pub(super) fn names(&self) -> Names {
        self.names.clone()
    }

    /// Slots in use or used.
    pub(super) const fn len(&self) -> usize {
        self.taken.len()
    }
}

fn common(left: &str, right: &str) -> usize {
    left.bytes()
        .zip(right.bytes())
        .take_while(|(left, right)| left == right)
        .count()
}
