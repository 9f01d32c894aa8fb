//! `PAGEMAP_SCAN`: finds pages of a process by what they are. It stops nothing, but keeps the process from changing its
//! list of mappings meanwhile: about a millisecond for each GiB that is resident, so one call looks at little.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::{Errno, Result};

/// Most bytes that one call looks at.
const PIECE: u64 = 256 << 20;

/// `include/uapi/linux/fs.h`
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610_u32 as libc::Ioctl;
const PAGE_IS_GUARD: u64 = 1 << 8;

/// `struct pm_scan_arg`
#[repr(C)]
#[derive(Default)]
struct Arguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_length: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_any_of: u64,
    returned: u64,
}

/// `struct page_region`
#[repr(C)]
#[derive(Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// The first guard region (`MADV_GUARD_INSTALL`) in a range of addresses, as far as one call sees it.
///
/// # Errors
/// `EINVAL` or `ENOTTY` on a kernel before 6.15, which does not tell.
pub fn first_guard(pagemap: &OwnedFd, (start, end): (u64, u64)) -> Result<Option<(u64, u64)>> {
    let mut from = start;
    while from < end {
        let to = end.min(from.saturating_add(PIECE));
        let region = scan(pagemap, from, to)?;
        if region.is_some() {
            return Ok(region);
        }
        from = to;
    }
    Ok(None)
}

#[allow(unsafe_code, reason = "no safe crate wraps PAGEMAP_SCAN; it writes one region and the end of the walk")]
fn scan(pagemap: &OwnedFd, start: u64, end: u64) -> Result<Option<(u64, u64)>> {
    let mut region = Region::default();
    let mut arguments = Arguments {
        size: size_of::<Arguments>() as u64,
        start,
        end,
        regions: (&raw mut region).expose_provenance() as u64,
        regions_length: 1,
        category_mask: PAGE_IS_GUARD,
        returned: PAGE_IS_GUARD,
        ..Arguments::default()
    };
    // SAFETY: the kernel reads and writes `arguments`, and writes at most one region, for which there is room. Both
    // outlive the call.
    let found = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arguments) };
    match found {
        0 => Ok(None),
        1.. => Ok(Some((region.start, region.end))),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}
