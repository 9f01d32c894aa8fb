//! Lines of `/proc/PID/mountinfo`. Kernel: `fs/proc_namespace.c: show_mountinfo`.
//!
//! Paths, type and source have blank, tab, newline, `#` and `\` as `\NNN`, undone here. Options stay as printed:
//! in them a comma may be escaped as well.

use bstr::ByteSlice as _;

use super::number::{decimal, device, octal};
use crate::facts::Mount;
use crate::text::RawText;

/// Optional fields of which the rest is of no use here.
const KNOWN_FIELDS: [&[u8]; 2] = [b"propagate_from:", b"unbindable"];

/// Takes a line apart.
#[must_use]
pub fn parse(line: &[u8]) -> Option<Mount> {
    let (left, right) = line.split_once_str(b" - ")?;
    let mut fields = left.split(|&byte| byte == b' ');
    let mut mount = Mount {
        id: decimal(fields.next()?)?,
        parent: decimal(fields.next()?)?,
        device: device(fields.next()?, decimal)?,
        root: unescape(fields.next()?),
        mount_point: unescape(fields.next()?),
        options: fields.next()?.into(),
        ..Mount::default()
    };
    for tag in fields {
        if let Some(group) = tag.strip_prefix(b"shared:") {
            mount.shared = Some(decimal(group)?);
        } else if let Some(group) = tag.strip_prefix(b"master:") {
            mount.master = Some(decimal(group)?);
        } else if !KNOWN_FIELDS.iter().any(|known| tag.starts_with(known)) {
            mount.unknown_field.get_or_insert_with(|| tag.into());
        }
    }
    let mut fields = right.splitn(3, |&byte| byte == b' ');
    mount.fs_type = unescape(fields.next()?);
    mount.source = unescape(fields.next()?);
    mount.super_options = fields.next()?.into();
    Some(mount)
}

/// Undoes `\NNN`; a `\` that starts none stays.
fn unescape(text: &[u8]) -> RawText {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'\\').then(|| after.get(..3).and_then(octal::<u8>)).flatten();
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_in_paths_only() {
        let line = br"36 35 98:0 /a\040b /mnt/x\134\012\377 rw,noatime shared:1 master:2 unbindable - fuse.sshfs me\043 rw,o=a\054b";
        let mount = parse(line).unwrap();
        assert_eq!((mount.id, mount.parent, mount.device), (36, 35, (98, 0)));
        assert_eq!((mount.root.as_bytes(), mount.mount_point.as_bytes()), (&b"/a b"[..], &b"/mnt/x\\\n\xff"[..]));
        assert_eq!((mount.shared, mount.master), (Some(1), Some(2)));
        assert_eq!((mount.fs_type.as_bytes(), mount.source.as_bytes()), (&b"fuse.sshfs"[..], &b"me#"[..]));
        assert_eq!(mount.super_options.as_bytes(), br"rw,o=a\054b");
    }

    #[test]
    fn fields_of_kernels_to_come_are_kept() {
        let field = |line: &[u8]| parse(line).unwrap().unknown_field;
        assert_eq!(field(b"1 0 0:1 / / rw shared:1 lazy:7 x:1 - tmpfs a rw"), Some("lazy:7".into()));
        assert_eq!(field(b"1 0 0:1 / / rw master:1 propagate_from:2 unbindable - tmpfs a rw"), None);
    }

    #[test]
    fn an_empty_source_moves_no_field() {
        let mount = parse(b"1 0 0:1 / / rw - tmpfs  rw,size=1k").unwrap();
        assert_eq!((mount.source.as_bytes(), mount.super_options.as_bytes()), (&b""[..], &b"rw,size=1k"[..]));
    }

    #[test]
    fn cut_off_and_overlong_lines_are_handled() {
        for line in ["", "36 35 98:0 / /", "36 35 98:0 / / rw - ext4", "x 35 98:0 / / rw - ext4 a rw"] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
        let lower = "/l".repeat(5000);
        let line = format!("1 0 0:30 / / rw - overlay overlay rw,lowerdir={lower}");
        assert_eq!(parse(line.as_bytes()).unwrap().super_options.as_bytes().len(), lower.len() + 12);
    }
}
