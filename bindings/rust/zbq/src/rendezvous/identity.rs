// SPDX-License-Identifier: MIT
//! Who somebody is, by the kernel's numbers.

use super::socket;
use std::fs;
use std::path::Path;

/// The number that the kernel gives for a user, or a group, that this process's user namespace has
/// no number for, also for this process itself: `user_namespaces(7)`. Whoever has it may be anyone.
const USUAL_OVERFLOW_ID: u32 = 65534;

/// Who is nobody, by the kernel's numbers. Asked for once, before a crowd can take all descriptors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nobody {
    uid: u32,
    gid: u32,
}

impl Nobody {
    pub(super) fn ask() -> Self {
        Self {
            uid: read_overflow_id(Path::new("/proc/sys/kernel/overflowuid")),
            gid: read_overflow_id(Path::new("/proc/sys/kernel/overflowgid")),
        }
    }

    pub(super) fn is_own_user(self, uid: u32) -> bool {
        uid == socket::user() && is_somebody(uid, self.uid)
    }

    pub(super) fn lists_user(self, list: &[u32], uid: u32) -> bool {
        is_somebody(uid, self.uid) && list.contains(&uid)
    }

    pub(super) fn lists_group(self, list: &[u32], gid: u32) -> bool {
        is_somebody(gid, self.gid) && list.contains(&gid)
    }
}

// The usual one counts as nobody's in any case: the file cannot be read everywhere.
fn is_somebody(id: u32, overflow_id: u32) -> bool {
    id != overflow_id && id != USUAL_OVERFLOW_ID && id != u32::MAX
}

fn read_overflow_id(file: &Path) -> u32 {
    fs::read_to_string(file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(USUAL_OVERFLOW_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_nobody() {
        let somebody_if_nobody_is_4711 = [0, 1000, 4710].map(|id| is_somebody(id, 4711));
        assert_eq!(somebody_if_nobody_is_4711, [true; 3]);
        let others = [4711, USUAL_OVERFLOW_ID, u32::MAX].map(|id| is_somebody(id, 4711));
        assert_eq!(others, [false; 3]);
    }

    #[test]
    fn the_kernel_says_who_is_nobody() {
        let file = std::env::temp_dir().join(format!("zbq-overflow-{}", std::process::id()));
        assert_eq!(read_overflow_id(&file), USUAL_OVERFLOW_ID);
        fs::write(&file, "4711\n").unwrap();
        assert_eq!(read_overflow_id(&file), 4711);
        fs::remove_file(&file).unwrap();
    }
}
