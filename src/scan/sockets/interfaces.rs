//! Network interfaces, by rtnetlink. CRIU: `net.c: dump_links`.

use netlink_packet_core::NlasIterator;
use rustix::io::Errno;

use super::diag::dump;
use super::raw::{Raw, words};
use crate::facts::{Interface, Tun};

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
/// `IFLA_INFO_DATA`, inside of `IFLA_LINKINFO`
const DATA: u16 = 2;
/// `IFLA_TUN_PERSIST`, inside of the `IFLA_INFO_DATA` of a tun device
const PERSISTENT: u16 = 6;
/// `IFLA_TUN_MULTI_QUEUE`
const MULTI_QUEUE: u16 = 7;
/// `IFLA_TUN_NUM_QUEUES`
const QUEUES: u16 = 8;

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
            LINK_INFO => link_info(&mut interface, attribute.value())?,
            _ => {}
        }
    }
    Some(interface)
}

fn link_info(interface: &mut Interface, value: &[u8]) -> Option<()> {
    let mut device = None;
    for info in NlasIterator::new(value) {
        let info = info.ok()?;
        match info.kind() {
            KIND => interface.kind = Some(text(info.value()).into()),
            DATA => device = tun(info.value()),
            _ => {}
        }
    }
    interface.tun = device.filter(|_| interface.kind == Some("tun".into()));
    Some(())
}

/// The data of a tun device; that of other kinds has other attributes and makes no sense here.
fn tun(value: &[u8]) -> Option<Tun> {
    let mut tun = Tun::default();
    for attribute in NlasIterator::new(value) {
        let attribute = attribute.ok()?;
        let set = attribute.value().first().is_some_and(|byte| *byte != 0);
        match attribute.kind() {
            PERSISTENT => tun.persistent = set,
            MULTI_QUEUE => tun.multi_queue = set,
            QUEUES => tun.queues = words(attribute.value()).first().copied()?,
            _ => {}
        }
    }
    Some(tun)
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
        let expected = Interface { index: 2, name: "i0".into(), hardware: 1, kind: Some("ifb".into()), tun: None };
        assert_eq!(parse(&message), Some(expected));
        assert_eq!(parse(&message[..10]), None);
    }

    #[test]
    fn a_tun_device_says_whether_it_stays_and_who_is_attached() {
        let attributes = b"\x05\0\x06\0\x01\0\0\0\x05\0\x07\0\0\0\0\0\x08\0\x08\0\x02\0\0\0";
        assert_eq!(tun(attributes), Some(Tun { persistent: true, multi_queue: false, queues: 2 }));
    }

    #[test]
    fn the_loopback_interface_is_there_and_of_no_kind() {
        let interfaces = read().unwrap();
        assert!(interfaces.iter().any(|i| i.name == "lo".into() && i.hardware == 772 && i.kind.is_none()));
    }
}
