//! The links of `/proc/PID/ns`, `TYPE:[INODE]`. Kernel: `fs/nsfs.c: ns_get_name`.

use super::number::decimal;
use crate::facts::NsId;

/// The inode number of a namespace link.
#[must_use]
pub fn parse(link: &[u8]) -> Option<NsId> {
    let bracket = link.iter().position(|&byte| byte == b'[')?;
    decimal(link.get(bracket + 1..)?.strip_suffix(b"]")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_link_has_a_number() {
        assert_eq!(parse(b"net:[4026531840]"), Some(4_026_531_840));
        for wrong in [&b""[..], b"net:[]", b"net:[1", b"net:1"] {
            assert_eq!(parse(wrong), None);
        }
    }
}
