//! From the file handle of a watch to a path.
//!
//! A file system that opens handles opens that of the watch, and the link of what was opened tells the path. An overlay
//! file handle wraps the handle of the file in the upper or a lower layer (kernel: `fs/overlayfs/overlayfs.h: struct
//! ovl_fh`, `struct ovl_fb`), which that file system opens. fdinfo has such handles since Linux 6.6.
//! Opening needs `CAP_DAC_READ_SEARCH`.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::File;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstat, open, readlinkat};
use rustix::io::{Errno, Result};

use crate::facts::is_below;
use crate::facts::{InotifyWatch, Mount};

/// `OVL_FILEID_V0` and `OVL_FILEID_V1`: the latter has three bytes of padding in front.
const OVERLAY_TYPES: [(u32, usize); 2] = [(0xfb, 0), (0xf8, 3)];
/// `OVL_FH_MAGIC`
const OVERLAY_MAGIC: u8 = 0xfb;
/// Bytes of `struct ovl_fb` in front of the real handle: version, magic, length, flags, type, uuid.
const OVERLAY_HEADER: usize = 21;
/// `MAX_HANDLE_SZ`
const LONGEST: usize = 128;

/// `OVL_FH_FLAG_PATH_UPPER`
const OVERLAY_UPPER: u8 = 4;
/// `AT_HANDLE_FID` (since Linux 6.5): a handle to tell files by, which any file system has.
const AT_HANDLE_FID: i32 = 0x200;

/// `struct file_handle` with room for the longest handle.
#[repr(C)]
struct FileHandle {
    bytes: u32,
    kind: i32,
    data: [u8; LONGEST],
}

/// Path on the host of the real file that a watch on this overlay mount points to. `own`: the scanner's mounts.
pub(super) fn real_path(watch: &InotifyWatch, overlay: &Mount, own: &[Mount]) -> Option<Vec<u8>> {
    let mut handle = decode(watch)?;
    layers(overlay, own).iter().find_map(|layer| {
        let link = link_of(&open_by_handle(layer.as_fd(), &mut handle).ok()?).ok()?;
        (link.starts_with(b"/") && !link.ends_with(b" (deleted)")).then_some(link)
    })
}

/// The link of the watched file, opened by its handle on this mount of its own file system.
pub(super) fn link(watch: &InotifyWatch, mount: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let mut handle = FileHandle::new(watch.handle_type, &bytes(watch).ok_or(Errno::INVAL)?).ok_or(Errno::INVAL)?;
    link_of(&open_by_handle(mount, &mut handle)?)
}

fn link_of(file: &OwnedFd) -> Result<Vec<u8>> {
    Ok(readlinkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new())?.into_bytes())
}

/// The handle inside of an overlay handle.
fn decode(watch: &InotifyWatch) -> Option<FileHandle> {
    let (_, padding) = OVERLAY_TYPES.iter().find(|(kind, _)| *kind == watch.handle_type)?;
    let bytes = bytes(watch)?;
    let wrapper = bytes.get(*padding..)?;
    let &[_, OVERLAY_MAGIC, length, _, kind, ..] = wrapper else { return None };
    FileHandle::new(kind.into(), wrapper.get(OVERLAY_HEADER..usize::from(length))?)
}

impl FileHandle {
    fn new(kind: u32, bytes: &[u8]) -> Option<Self> {
        let mut data = [0; LONGEST];
        data.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { bytes: u32::try_from(bytes.len()).ok()?, kind: i32::try_from(kind).ok()?, data })
    }
}

fn bytes(watch: &InotifyWatch) -> Option<Vec<u8>> {
    let digits = watch.handle.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The layers of an overlay mount that can be opened from here, one for each file system. One whose path lies on a file
/// system that may hang is left alone.
fn layers(overlay: &Mount, own: &[Mount]) -> Vec<File> {
    let options = overlay.super_options.as_bytes().split(|&byte| byte == b',');
    let directories = options.flat_map(|option| {
        let list = [&b"upperdir="[..], b"lowerdir=", b"lowerdir+="].iter().find_map(|key| option.strip_prefix(*key));
        list.unwrap_or_default().split(|&byte| byte == b':').filter(|path| is_on_local(path, own))
    });
    let mut seen = BTreeSet::new();
    let opened = directories.filter_map(|path| {
        let layer = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        seen.insert(fstat(&layer).ok()?.st_dev).then(|| File::from(layer))
    });
    opened.collect()
}

/// Whether an absolute path lies on a mount whose file system can not hang.
fn is_on_local(path: &[u8], mounts: &[Mount]) -> bool {
    let around = mounts.iter().filter(|mount| is_below(path, mount.mount_point.as_bytes()));
    around.max_by_key(|mount| mount.mount_point.as_bytes().len()).is_some_and(|mount| !mount.may_hang())
}

#[allow(unsafe_code, reason = "no safe crate wraps open_by_handle_at")]
fn open_by_handle(mount: BorrowedFd<'_>, handle: &mut FileHandle) -> Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: the handle is a `struct file_handle` whose `bytes` never exceeds its `data`; the kernel only reads it.
    let fd = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), std::ptr::from_mut(handle).cast(), flags) };
    if fd < 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL));
    }
    // SAFETY: a number that is not negative is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a file of an overlay is one of its upper layer that no lower layer had before: the handle says so.
#[allow(unsafe_code, reason = "no safe crate wraps name_to_handle_at")]
pub(in crate::scan) fn is_in_upper(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    let mut handle = FileHandle { bytes: LONGEST as u32, kind: 0, data: [0; LONGEST] };
    let (mut mount, flags) = (0, AT_HANDLE_FID | libc::AT_SYMLINK_FOLLOW);
    let into = std::ptr::from_mut(&mut handle).cast();
    // SAFETY: the handle is a `struct file_handle` whose `bytes` is the size of its `data`.
    let named = unsafe { libc::name_to_handle_at(dir.as_raw_fd(), name.as_ptr(), into, &raw mut mount, flags) } == 0;
    let kind = OVERLAY_TYPES.iter().find(|(kind, _)| named && i32::try_from(*kind) == Ok(handle.kind));
    let wrapper = kind.and_then(|(_, padding)| handle.data.get(*padding..));
    wrapper.is_some_and(|wrapper| matches!(wrapper, &[_, OVERLAY_MAGIC, _, flags, ..] if flags & OVERLAY_UPPER != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(handle_type: u32, handle: &str) -> InotifyWatch {
        InotifyWatch { handle_type, handle: handle.into(), ..InotifyWatch::default() }
    }

    #[test]
    fn the_real_handle_is_taken_out_of_its_wrapper() {
        let uuid = "00112233445566778899aabbccddeeff";
        let handle = decode(&watch(0xf8, &format!("00000000fb1d0001{uuid}d21a100010203040"))).unwrap();
        assert_eq!((handle.bytes, handle.kind), (8, 1));
        assert_eq!(handle.data[..8], [0xd2, 0x1a, 0x10, 0x00, 0x10, 0x20, 0x30, 0x40]);
    }

    #[test]
    fn what_is_no_overlay_handle_is_left_alone() {
        for (kind, text) in [(1, "d21a100010203040"), (0xf8, "000000"), (0xf8, "00000000fbff0001"), (0xf8, "zz")] {
            assert!(decode(&watch(kind, text)).is_none(), "{kind:x} {text}");
        }
    }
}
