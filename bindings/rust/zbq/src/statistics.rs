// SPDX-License-Identifier: MIT
//! Accounts of a ring and of its consumers.

use crate::error::Eviction;
use crate::options::{split_mode, Wakeup};
use zbq_sys::{zbq_consumer_info, zbq_producer_statistics};

/// Counters of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Bytes committed since the start.
    pub head: u64,
    /// The least of the consumers' tails; `head` with no consumer.
    pub slowest_tail: u64,
    /// Consumers that ever got a slot.
    pub joined: u64,
    /// Consumers that lost it.
    pub evicted: u64,
    /// Failed attempts to get room or to send descriptors.
    pub failures: u64,
    /// Scans of all consumers.
    pub scans: u64,
    /// Wake-up calls made.
    pub wakes: u64,
    /// Slots taken now.
    pub consumers: u32,
    /// Slots.
    pub max_consumers: u32,
    by_reason: [u64; 7],
}

impl Statistics {
    /// Consumers evicted for this reason.
    pub fn evicted_for(&self, reason: Eviction) -> u64 {
        let of = |counted: &(usize, &u64)| Eviction::from_raw(counted.0 as u32) == Some(reason);
        self.by_reason
            .iter()
            .enumerate()
            .find(of)
            .map_or(0, |counted| *counted.1)
    }

    pub(crate) fn from_raw(counters: &zbq_producer_statistics) -> Self {
        Self {
            head: counters.head,
            slowest_tail: counters.slowest_tail,
            joined: counters.joined,
            evicted: counters.evicted[0],
            failures: counters.failures,
            scans: counters.scans,
            wakes: counters.wakes,
            consumers: counters.consumers,
            max_consumers: counters.max_consumers,
            by_reason: counters.evicted,
        }
    }
}

/// What is known of the consumer in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// Whether it is there. If not, the rest tells of the one last evicted from this slot.
    pub present: bool,
    /// Bytes committed that it has not released.
    pub lag: u64,
    /// 1 for the first join of this ring, then 2, and so on; 0: nobody ever had this slot.
    pub join_number: u64,
    /// Its process; 0 while unknown.
    pub pid: i32,
    /// How it learns of messages.
    pub wakeup: Wakeup,
    /// Whether it is an observer, for whom nobody waits.
    pub observes: bool,
    /// Why it was evicted.
    pub eviction: Option<Eviction>,
    /// Descriptors sent to it and not collected.
    pub fds_in_flight: u32,
    /// Up to here it has released. One that was evicted may still look at what lies past it, also
    /// at descriptors that it collected.
    pub tail: u64,
    /// Records of descriptors that an observer had no room for.
    pub dropped_records: u64,
}

impl ConsumerInfo {
    pub(crate) fn from_raw(info: &zbq_consumer_info, present: bool) -> Self {
        let (wakeup, observes) = split_mode(info.mode).unwrap_or_default();
        Self {
            present,
            lag: info.lag,
            join_number: info.join_number,
            pid: info.pid,
            wakeup,
            observes,
            eviction: Eviction::from_raw(info.eviction),
            fds_in_flight: info.fds_in_flight,
            tail: info.tail,
            dropped_records: info.dropped_records,
        }
    }
}
