//! FUSE, which lets in nobody but the user who mounted it, or with `allow_other` all who are in the user namespace in
//! which it was mounted. Kernel: `fs/fuse/dir.c: fuse_allow_current_process`, `fs/fuse/inode.c: fuse_show_options`.

use super::View;
use crate::facts::{Mount, UserNamespace};
use crate::finding::Confidence;

/// How sure it is that a mount lets in neither the caller of criu nor, for an ideal one, root; `None` where it does.
///
/// The kernel prints the user as that user namespace numbers him and does not say which one it is: that of the host, or
/// that of the target.
pub(super) fn closed(view: View<'_>, mount: &Mount) -> Option<Confidence> {
    let words = || mount.super_options.as_bytes().split(|byte| *byte == b',');
    let user = words().find_map(|word| std::str::from_utf8(word.strip_prefix(b"user_id=")?).ok()?.parse::<u32>().ok());
    let fs_type = mount.fs_type.as_bytes();
    let is_fuse = matches!(fs_type, b"fuse" | b"fuseblk") || fs_type.starts_with(b"fuse.");
    let user = user.filter(|_| is_fuse)?;
    let caller = view.profile.caller.as_ref().map_or(0, |caller| caller.uid);
    let allows_others = words().any(|word| word == b"allow_other");
    let of_host = user != caller && !allows_others;
    let of_target = view.facts.user_namespace.as_ref().map(|namespace| allows_others || outside(namespace, user) != Some(caller));
    match (of_host, of_target.unwrap_or(of_host)) {
        (true, true) => Some(Confidence::Certain),
        (false, false) => None,
        _ => Some(Confidence::Possible),
    }
}

/// What a user of a user namespace is to the scanner.
fn outside(namespace: &UserNamespace, user: u32) -> Option<u32> {
    let of_extent = |extent: &crate::facts::IdExtent| {
        let index = user.checked_sub(extent.inside).filter(|index| *index < extent.count)?;
        extent.outside.checked_add(index)
    };
    namespace.uids.iter().find_map(of_extent)
}
