//! Whether another user could replace a folder or its content.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{getegid, geteuid};

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;

/// Why other users could replace `folder`, an absolute path without links; none if they cannot. A
/// world-writable folder is safe if it is sticky, like `/tmp`: users can rename only their own entries.
pub(super) fn exposure(folder: &Path) -> Option<String> {
    folder.ancestors().find_map(|ancestor| {
        let shown = ancestor.display();
        let metadata = match fs::symlink_metadata(ancestor) {
            Ok(metadata) => metadata,
            Err(error) => return Some(format!("cannot read {shown}: {error}")),
        };
        if !is_trusted(metadata.uid()) {
            return Some(format!("{shown} belongs to another user (uid {})", metadata.uid()));
        }
        let mode = metadata.mode();
        let by_group = mode & GROUP_WRITES != 0 && ![0, getegid().as_raw()].contains(&metadata.gid());
        let is_open = mode & STICKY == 0 && (mode & OTHERS_WRITE != 0 || by_group);
        is_open.then(|| format!("other users can write to {shown} (mode {:04o})", mode & 0o7777))
    })
}

/// Root, this user, and the user who ran `sudo`.
pub(super) fn is_trusted(owner: u32) -> bool {
    let own = geteuid().as_raw();
    let number = |text: Option<String>| text.and_then(|text| text.trim().parse().ok());
    let caller = || own == 0 && number(std::env::var("SUDO_UID").ok()) == Some(owner);
    // In a user namespace, every unmapped owner has the same uid, including root.
    let is_outside = || {
        let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
        number(overflow) == Some(owner) && !maps_all_users()
    };
    owner == 0 || owner == own || caller() || is_outside()
}

/// Whether uids are the real ones of the machine.
fn maps_all_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let fields: Vec<&str> = map.split_whitespace().collect();
    map.is_empty() || fields == ["0", "0", "4294967295"]
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_others_can_replace_is_exposed() {
        let root = tempfile::tempdir().unwrap();
        let outer = root.path().canonicalize().unwrap().join("outer");
        let inner = outer.join("inner");
        fs::create_dir_all(&inner).unwrap();
        for (mode, is_exposed) in [(0o755, false), (0o700, false), (0o777, true), (0o1777, false)] {
            fs::set_permissions(&outer, Permissions::from_mode(mode)).unwrap();
            assert_eq!(exposure(&inner).is_some(), is_exposed, "{mode:o}");
            assert_eq!(exposure(&outer).is_some(), is_exposed, "{mode:o}");
        }
    }

    #[test]
    fn a_folder_of_another_user_is_exposed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap().join("planted");
        fs::create_dir(&folder).unwrap();
        // Only root can change the owner of a folder.
        if std::os::unix::fs::chown(&folder, Some(4711), None).is_ok() {
            assert!(exposure(&folder).unwrap().contains("belongs to another user"));
        }
    }
}
