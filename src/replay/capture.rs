//! UDP datagrams out of a packet capture: `.pcap` (all four byte orders and clock resolutions) and `.pcapng`, over
//! Ethernet (with VLAN tags), raw IP, Linux "any" (SLL, SLL2) and the BSD loopback; IPv4 and IPv6.

use std::time::Duration;

/// One datagram, with its time since the first packet of the capture.
#[derive(Debug, PartialEq, Eq)]
pub struct Captured<'a> {
    pub at: Duration,
    pub payload: &'a [u8],
}

/// The bytes are no capture that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACapture {
    #[error("neither pcap nor pcapng")]
    Format,
    #[error("link type {0} is not read (Ethernet, raw IP, Linux SLL and BSD loopback are)")]
    LinkType(u32),
    #[error("cut off")]
    CutOff,
}

/// All UDP datagrams in the capture, in its order. Fragments and other protocols are skipped.
pub fn datagrams(capture: &[u8]) -> Result<Vec<Captured<'_>>, NotACapture> {
    let mut packets = match capture {
        [0x0A, 0x0D, 0x0D, 0x0A, ..] => pcapng(capture)?,
        _ => pcap(capture)?,
    };
    let begin = packets.iter().map(|packet| packet.at).min().unwrap_or_default();
    for packet in &mut packets {
        packet.at = packet.at.saturating_sub(begin);
    }
    Ok(packets)
}

/// Reads integers of one byte order.
#[derive(Clone, Copy)]
struct Order {
    little: bool,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let field: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little { u16::from_le_bytes(field) } else { u16::from_be_bytes(field) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let field: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(field) } else { u32::from_be_bytes(field) })
    }
}

/// The classic format: a header of 24 octets, then records of 16 octets and the packet.
fn pcap(capture: &[u8]) -> Result<Vec<Captured<'_>>, NotACapture> {
    let (order, units_per_second) = match capture {
        [0xD4, 0xC3, 0xB2, 0xA1, ..] => (Order { little: true }, 1_000_000),
        [0xA1, 0xB2, 0xC3, 0xD4, ..] => (Order { little: false }, 1_000_000),
        [0x4D, 0x3C, 0xB2, 0xA1, ..] => (Order { little: true }, 1_000_000_000),
        [0xA1, 0xB2, 0x3C, 0x4D, ..] => (Order { little: false }, 1_000_000_000),
        _ => return Err(NotACapture::Format),
    };
    // The upper bits say whether a frame check sequence follows; the link type is the lower half.
    let link_type = order.u32(capture, 20).ok_or(NotACapture::CutOff)? & 0xFFFF;
    let mut packets = Vec::new();
    let mut rest = capture.get(24..).ok_or(NotACapture::CutOff)?;
    while !rest.is_empty() {
        let record = (order.u32(rest, 0), order.u32(rest, 4), order.u32(rest, 8));
        let (Some(seconds), Some(fraction), Some(length)) = record else { return Err(NotACapture::CutOff) };
        let end = usize::try_from(length).ok().and_then(|length| length.checked_add(16)).ok_or(NotACapture::CutOff)?;
        let packet = rest.get(16..end).ok_or(NotACapture::CutOff)?;
        rest = rest.get(end..).unwrap_or_default();
        if let Some(payload) = udp_payload(link_type, packet)? {
            let ticks = u64::from(seconds).saturating_mul(units_per_second).saturating_add(u64::from(fraction));
            packets.push(Captured { at: ticks_to_time(ticks, units_per_second), payload });
        }
    }
    Ok(packets)
}

/// One interface of a pcapng section.
struct Interface {
    link_type: u32,
    units_per_second: u64,
}

/// Blocks of type, length, body, length. Section headers, interface descriptions, enhanced and simple packets matter;
/// every other block is skipped.
fn pcapng(capture: &[u8]) -> Result<Vec<Captured<'_>>, NotACapture> {
    const SECTION_HEADER: u32 = 0x0A0D_0D0A;
    const INTERFACE: u32 = 1;
    const ENHANCED_PACKET: u32 = 6;
    let mut order = Order { little: true };
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut packets = Vec::new();
    let mut rest = capture;
    while !rest.is_empty() {
        let kind = order.u32(rest, 0).ok_or(NotACapture::CutOff)?;
        if kind == SECTION_HEADER {
            order = match rest.get(8..12) {
                Some([0x4D, 0x3C, 0x2B, 0x1A]) => Order { little: true },
                Some([0x1A, 0x2B, 0x3C, 0x4D]) => Order { little: false },
                _ => return Err(NotACapture::Format),
            };
            interfaces.clear();
        }
        let length = order.u32(rest, 4).and_then(|length| usize::try_from(length).ok()).ok_or(NotACapture::CutOff)?;
        if length < 12 {
            return Err(NotACapture::Format);
        }
        let body_end = length.checked_sub(4).ok_or(NotACapture::Format)?;
        let body = rest.get(8..body_end).ok_or(NotACapture::CutOff)?;
        rest = rest.get(length..).ok_or(NotACapture::CutOff)?;
        match kind {
            INTERFACE => interfaces.push(interface(order, body)?),
            ENHANCED_PACKET => {
                let fields = (order.u32(body, 0), order.u32(body, 4), order.u32(body, 8), order.u32(body, 12));
                let (Some(index), Some(high), Some(low), Some(captured)) = fields else {
                    return Err(NotACapture::CutOff);
                };
                let interface = usize::try_from(index).ok().and_then(|index| interfaces.get(index));
                let interface = interface.ok_or(NotACapture::Format)?;
                let end = usize::try_from(captured).ok().and_then(|length| length.checked_add(20));
                let packet = end.and_then(|end| body.get(20..end)).ok_or(NotACapture::CutOff)?;
                if let Some(payload) = udp_payload(interface.link_type, packet)? {
                    let ticks = u64::from(high) << 32 | u64::from(low);
                    packets.push(Captured { at: ticks_to_time(ticks, interface.units_per_second), payload });
                }
            }
            _ => {}
        }
    }
    Ok(packets)
}

fn interface(order: Order, body: &[u8]) -> Result<Interface, NotACapture> {
    const END_OF_OPTIONS: u16 = 0;
    const TIME_RESOLUTION: u16 = 9;
    let link_type = u32::from(order.u16(body, 0).ok_or(NotACapture::CutOff)?);
    let mut units_per_second = 1_000_000u64;
    let mut options = body.get(8..).unwrap_or_default();
    while let (Some(code), Some(length)) = (order.u16(options, 0), order.u16(options, 2)) {
        if code == END_OF_OPTIONS {
            break;
        }
        if code == TIME_RESOLUTION
            && let Some(resolution) = options.get(4)
        {
            let exponent = u32::from(resolution & 0x7F);
            let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
            units_per_second = base.checked_pow(exponent).ok_or(NotACapture::Format)?;
        }
        // Values are padded to 4 octets.
        let padded = usize::from(length).next_multiple_of(4).saturating_add(4);
        options = options.get(padded..).unwrap_or_default();
    }
    Ok(Interface { link_type, units_per_second })
}

fn ticks_to_time(ticks: u64, units_per_second: u64) -> Duration {
    let units = units_per_second.max(1);
    let nanos = u128::from(ticks % units).saturating_mul(1_000_000_000) / u128::from(units);
    Duration::new(ticks / units, u32::try_from(nanos).unwrap_or(0))
}

/// `None` for what is no whole UDP datagram.
fn udp_payload(link_type: u32, packet: &[u8]) -> Result<Option<&[u8]>, NotACapture> {
    let network = Order { little: false };
    let ip = match link_type {
        // BSD loopback: the address family in the writer's byte order, in front of IP.
        0 => packet.get(4..),
        1 => ethernet(packet),
        12 | 14 | 101 => Some(packet),
        // Linux "any", version 1: the protocol is in the last of 16 octets; version 2: in the first of 20.
        113 => packet.get(16..).filter(|_| is_ip(network.u16(packet, 14))),
        276 => packet.get(20..).filter(|_| is_ip(network.u16(packet, 0))),
        other => return Err(NotACapture::LinkType(other)),
    };
    Ok(ip.and_then(udp_in_ip))
}

fn ethernet(frame: &[u8]) -> Option<&[u8]> {
    let network = Order { little: false };
    let mut at = 12usize;
    // IEEE 802.1Q and 802.1ad tags, at most two of them.
    for _ in 0..2 {
        if matches!(network.u16(frame, at), Some(0x8100 | 0x88A8)) {
            at = at.saturating_add(4);
        }
    }
    is_ip(network.u16(frame, at)).then(|| frame.get(at.saturating_add(2)..)).flatten()
}

fn is_ip(ether_type: Option<u16>) -> bool {
    matches!(ether_type, Some(0x0800 | 0x86DD))
}

fn udp_in_ip(packet: &[u8]) -> Option<&[u8]> {
    const UDP: u8 = 17;
    let network = Order { little: false };
    let udp = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet.first()? & 0x0F).checked_mul(4)?;
            let fragment = network.u16(packet, 6)? & 0x3FFF;
            if *packet.get(9)? != UDP || fragment != 0 {
                return None;
            }
            packet.get(header..)?
        }
        // Without extension headers: a sender of RTP uses none.
        6 if *packet.get(6)? == UDP => packet.get(40..)?,
        _ => return None,
    };
    let length = usize::from(network.u16(udp, 4)?);
    udp.get(8..length)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An Ethernet frame with one UDP datagram over IPv4.
    pub fn ethernet_udp(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
        let udp_length = 8 + payload.len() as u16;
        frame.extend([0x45, 0]);
        frame.extend((20 + udp_length).to_be_bytes());
        frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        frame.extend([0x4E, 0x20, 0x4E, 0x22]);
        frame.extend(udp_length.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(payload);
        frame
    }

    /// A classic capture in little-endian microseconds.
    pub fn pcap_of(packets: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut file = vec![0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0];
        file.extend([0; 8]);
        file.extend(65_535u32.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        for (micros, packet) in packets {
            file.extend((1_700_000_000 + micros / 1_000_000).to_le_bytes());
            file.extend((micros % 1_000_000).to_le_bytes());
            file.extend((packet.len() as u32).to_le_bytes());
            file.extend((packet.len() as u32).to_le_bytes());
            file.extend(packet);
        }
        file
    }

    fn pcapng_of(micros: u64, packet: &[u8]) -> Vec<u8> {
        fn block(kind: u32, body: &[u8]) -> Vec<u8> {
            let mut padded = body.to_vec();
            padded.resize(body.len().next_multiple_of(4), 0);
            let length = (padded.len() as u32 + 12).to_be_bytes();
            [kind.to_be_bytes().as_slice(), &length, &padded, &length].concat()
        }
        let section = [&[0x1A, 0x2B, 0x3C, 0x4D, 0, 1, 0, 0][..], &[0xFF; 8]].concat();
        // Raw IP, with the time resolution given as 10^-6.
        let interface = [0, 101, 0, 0, 0, 0, 0xFF, 0xFF, 0, 9, 0, 1, 6, 0, 0, 0, 0, 0, 0, 0];
        let mut enhanced = vec![0, 0, 0, 0];
        enhanced.extend(((micros >> 32) as u32).to_be_bytes());
        enhanced.extend((micros as u32).to_be_bytes());
        enhanced.extend((packet.len() as u32).to_be_bytes());
        enhanced.extend((packet.len() as u32).to_be_bytes());
        enhanced.extend(packet);
        [block(0x0A0D_0D0A, &section), block(5, &[1, 2, 3, 4]), block(1, &interface), block(6, &enhanced)].concat()
    }

    #[test]
    fn both_formats_give_the_datagrams_with_their_times() {
        let arp = vec![0xFF; 42];
        let file = pcap_of(&[(500, arp), (1_000, ethernet_udp(b"one")), (1_021_000, ethernet_udp(b"two"))]);
        let captured = datagrams(&file).unwrap();
        assert_eq!(captured.len(), 2);
        assert_eq!((captured[0].at, captured[0].payload), (Duration::ZERO, &b"one"[..]));
        assert_eq!((captured[1].at, captured[1].payload), (Duration::from_millis(1020), &b"two"[..]));

        let file = pcapng_of(1_700_000_000_000_000, &ethernet_udp(b"three")[14..]);
        let captured = datagrams(&file).unwrap();
        assert_eq!(captured, [Captured { at: Duration::ZERO, payload: b"three" }]);
    }

    #[test]
    fn a_vlan_tag_and_ipv6_are_read() {
        let mut tagged = ethernet_udp(b"tagged");
        tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
        assert_eq!(udp_payload(1, &tagged), Ok(Some(&b"tagged"[..])));
        let mut six = vec![0x60, 0, 0, 0, 0, 11, 17, 64];
        six.extend([0; 32]);
        six.extend([0x4E, 0x20, 0x4E, 0x22, 0, 11, 0, 0, b's', b'i', b'x']);
        assert_eq!(udp_payload(101, &six), Ok(Some(&b"six"[..])));
    }

    #[test]
    fn whatever_is_cut_off_or_odd_is_an_error_and_no_panic() {
        assert_eq!(datagrams(b"not a capture"), Err(NotACapture::Format));
        assert_eq!(datagrams(b""), Err(NotACapture::Format));
        for whole in [pcap_of(&[(0, ethernet_udp(b"one"))]), pcapng_of(5, &ethernet_udp(b"two")[14..])] {
            for length in 0..whole.len() {
                let _ = datagrams(&whole[..length]);
            }
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 0xFF;
                let _ = datagrams(&damaged);
            }
        }
        let mut usb = pcap_of(&[(0, vec![0; 60])]);
        usb[20] = 220;
        assert_eq!(datagrams(&usb), Err(NotACapture::LinkType(220)));
    }
}
