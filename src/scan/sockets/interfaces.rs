//! Network interfaces, by rtnetlink. CRIU: `net.c: dump_links`.

use netlink_packet_core::NlasIterator;
use rustix::io::Errno;

use super::diag::dump;
use super::raw::Raw;
use crate::facts::Interface;

/// `RTM_GETLINK`
const GET_LINK: u16 = 18;
/// Bytes of `struct ifinfomsg`.
const HEADER: usize = 16;
/// `IFLA_IFNAME`
const NAME: u16 = 3;
/// `IFLA_LINKINFO`
const LINK_INFO: u16 = 18;
/// `IFLA_INFO_KIND`, inside of `IFLA_LINKINFO`
const KIND: u16 = 1;

/// Interfaces of the network namespace that the calling thread is in, by index.
pub(super) fn read() -> Result<Vec<Interface>, Errno> {
    let mut messages = Vec::new();
    // `NETLINK_ROUTE` is protocol number 0.
    dump(None, Raw { kind: GET_LINK, body: vec![0; HEADER] }, |message: Raw| messages.push(message.body))?;
    let parsed = messages.iter().map(|message| parse(message)).collect::<Option<Vec<Interface>>>();
    let mut interfaces = parsed.ok_or(Errno::BADMSG)?;
    interfaces.sort_by_key(|interface| interface.index);
    Ok(interfaces)
}

fn parse(message: &[u8]) -> Option<Interface> {
    let (&[_, _, h0, h1, i0, i1, i2, i3, ..], attributes) = message.split_at_checked(HEADER)? else { return None };
    let hardware = u16::from_ne_bytes([h0, h1]);
    let mut interface = Interface { index: i32::from_ne_bytes([i0, i1, i2, i3]), hardware, ..Interface::default() };
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.ok()?;
        match attribute.kind() {
            NAME => interface.name = text(attribute.value()).into(),
            LINK_INFO => {
                for info in NlasIterator::new(attribute.value()) {
                    let info = info.ok()?;
                    if info.kind() == KIND {
                        interface.kind = Some(text(info.value()).into());
                    }
                }
            }
            _ => {}
        }
    }
    Some(interface)
}

fn text(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_index_name_hardware_and_kind() {
        let mut message = vec![0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend(b"\x07\0\x03\0i0\0\0\x0c\0\x12\0\x08\0\x01\0ifb\0");
        let expected = Interface { index: 2, name: "i0".into(), hardware: 1, kind: Some("ifb".into()) };
        assert_eq!(parse(&message), Some(expected));
        assert_eq!(parse(&message[..10]), None);
    }

    #[test]
    fn the_loopback_interface_is_there_and_of_no_kind() {
        let interfaces = read().unwrap();
        assert!(interfaces.iter().any(|i| i.name == "lo".into() && i.hardware == 772 && i.kind.is_none()));
    }
}
