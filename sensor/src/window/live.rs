//! The flows being followed across windows: a bounded table from key to a small life record.
//! It must never hold more than its limit, and its order of iteration must not depend on the seed.

use core::hash::Hasher as _;

use foldhash::{SharedSeed, quality::FoldHasher};
use hashbrown::HashTable;
use sensor_common::flow::FlowKey;

use super::flow::Opening;

/// What is kept of a flow between windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) key: FlowKey,
    /// First packet of the life; 0 until the first window closes.
    pub(super) born_ns: u64,
    /// Last packet up to the last closed window; 0 before the first one.
    pub(super) last_ns: u64,
    /// Packets up to the last closed window, by half.
    pub(super) packets: [u64; 2],
    /// A SYN still without SYN-ACK; 0 if none.
    pub(super) syn_ns: u64,
    /// Index among the flows of the open window, or [`NOT_ACTIVE`].
    pub(super) active: u32,
    pub(super) opening: Opening,
    pub(super) initiator: u8,
    /// Halves that sent FIN, as bits.
    pub(super) fin_halves: u8,
    /// Ended by FIN or RST; kept so that late packets of the closing exchange do not look like a new flow.
    pub(super) ended: bool,
}

/// The flow has no packet in the open window.
pub(super) const NOT_ACTIVE: u32 = u32::MAX;

impl Life {
    fn new(key: FlowKey) -> Self {
        Self {
            key,
            born_ns: 0,
            last_ns: 0,
            packets: [0; 2],
            syn_ns: 0,
            active: NOT_ACTIVE,
            opening: Opening::SpokeFirst,
            initiator: 0,
            fin_halves: 0,
            ended: false,
        }
    }

    /// Forgets everything before the open window: a new flow with the same key.
    pub(super) fn restart(&mut self) {
        *self = Self {
            active: self.active,
            ..Self::new(self.key)
        };
    }
}

/// Key to [`Life`], bounded.
#[derive(Debug)]
pub(super) struct LiveFlows {
    index: HashTable<u32>,
    lives: Vec<Life>,
    free: Vec<u32>,
    max_flows: usize,
    seed: u64,
    shared_seed: SharedSeed,
}

impl LiveFlows {
    /// An empty table; `seed` keys the hash, because whoever sends packets chooses the keys.
    pub(super) fn new(max_flows: usize, seed: u64) -> Self {
        Self {
            index: HashTable::new(),
            lives: Vec::new(),
            free: Vec::new(),
            // Slots are numbered by u32.
            max_flows: max_flows.min(NOT_ACTIVE as usize - 1),
            seed,
            shared_seed: SharedSeed::from_u64(seed),
        }
    }

    /// Flows held.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The slot of `key`; a new one if there is room.
    pub(super) fn slot(&mut self, key: &FlowKey) -> Option<u32> {
        let hash = hash(self.seed, &self.shared_seed, key);
        let lives = &self.lives;
        let same = |slot: &u32| lives.get(*slot as usize).is_some_and(|life| life.key == *key);
        if let Some(slot) = self.index.find(hash, same) {
            return Some(*slot);
        }
        if self.index.len() >= self.max_flows {
            return None;
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.lives.len() as u32,
        };
        if let Some(life) = self.lives.get_mut(slot as usize) {
            *life = Life::new(*key);
        } else {
            self.lives.push(Life::new(*key));
        }
        let (lives, seed, shared_seed) = (&self.lives, self.seed, &self.shared_seed);
        self.index.insert_unique(hash, slot, |&other| {
            lives
                .get(other as usize)
                .map_or(0, |life| hash_key(seed, shared_seed, life))
        });
        Some(slot)
    }

    /// The life at a slot that [`Self::slot`] gave.
    pub(super) fn life(&mut self, slot: u32) -> Option<&mut Life> {
        self.lives.get_mut(slot as usize)
    }

    /// Visits every live flow in slot order and removes those for which `keep` says no.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Life) -> bool) {
        let Self {
            index,
            lives,
            free,
            seed,
            shared_seed,
            ..
        } = self;
        // A removed life has an impossible kind, so that a freed slot is not visited again.
        for (slot, life) in lives.iter_mut().enumerate() {
            if life.key.kind == FREED || keep(life) {
                continue;
            }
            let slot = slot as u32;
            if let Ok(entry) = index.find_entry(hash_key(*seed, shared_seed, life), |&held| held == slot) {
                entry.remove();
            }
            life.key.kind = FREED;
            free.push(slot);
        }
        if index.is_empty() {
            lives.clear();
            free.clear();
        }
    }
}

/// [`FlowKey::kind`] that no parser makes (network layer 15).
const FREED: u8 = 0xff;

fn hash_key(seed: u64, shared_seed: &SharedSeed, life: &Life) -> u64 {
    hash(seed, shared_seed, &life.key)
}

fn hash(seed: u64, shared_seed: &SharedSeed, key: &FlowKey) -> u64 {
    let mut hasher = FoldHasher::with_seed(seed, shared_seed);
    hasher.write(bytemuck::bytes_of(key));
    hasher.finish()
}

// With its place in the index (4 to 8 bytes at a load of 7/8 to 7/16), a silent flow costs about 105 bytes.
const _: () = assert!(size_of::<Life>() == 96);
