// SPDX-License-Identifier: MIT
//! How far apart processors are: the same rule as in C++ (`topology.hpp`).

use std::fs;
use std::path::Path;

fn line_of(path: impl AsRef<Path>) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Whether some processors share no cache, by what sysfs says there.
fn has_far_processors(cpus: &Path) -> bool {
    let online = line_of(cpus.join("online"));
    let first = online.split([',', '-']).next().unwrap_or_default();
    let caches = cpus.join(format!("cpu{first}/cache"));
    let shared =
        (0..8) // the last one is the largest
            .map(|index| line_of(caches.join(format!("index{index}/shared_cpu_list"))))
            .filter(|list| !list.is_empty())
            .last();
    shared.map_or(false, |list| list != online)
}

pub(crate) fn suitable_capacity() -> u64 {
    let far = has_far_processors(Path::new("/sys/devices/system/cpu"));
    if far {
        64 << 20
    } else {
        1 << 20
    }
}
