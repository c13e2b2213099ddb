// SPDX-License-Identifier: MIT
//! Who somebody is, by the kernel's numbers.

use super::socket;
use std::fs;
use std::os::unix::io::OwnedFd;
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

/// Users, and groups by whose members they are: by the effective or a supplementary group.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    pub(super) users: Vec<u32>,
    pub(super) groups: Vec<u32>,
}

impl List {
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Whether it has who made the other end of this socket.
    pub(super) fn has(&self, nobody: Nobody, uid: u32, gid: u32, socket: &OwnedFd) -> bool {
        let is_listed = |group: &u32| nobody.lists_group(&self.groups, *group);
        nobody.lists_user(&self.users, uid)
            || is_listed(&gid)
            || (!self.groups.is_empty() && socket::peer_groups(socket).iter().any(is_listed))
    }
}

/// Of a socket's file: for users but the owner, connecting needs permission to write.
pub(super) fn mode_for(is_for_others: bool) -> u32 {
    if is_for_others {
        0o666
    } else {
        0o600
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
