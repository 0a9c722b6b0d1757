//! Frames that a test can tell from everything else on its interfaces.

use sensor_common::flow::FlowKey;

/// Destination port of the test's own frames.
const PORT: u16 = 47_474;

/// A UDP frame from `10.x.x.x`, where `client` gives the lower 24 bits of the address, to `192.0.2.9`. The length varies
/// with the client.
pub fn udp(client: u32, source_port: u16) -> Vec<u8> {
    let payload = 18 + (client % 32) as usize;
    let mut frame = vec![0; 42 + payload];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[0x08, 0]);
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&((28 + payload) as u16).to_be_bytes());
    frame[22] = 64;
    frame[23] = 17;
    frame[26..30].copy_from_slice(&(0x0a00_0000 | client & 0x00ff_ffff).to_be_bytes());
    frame[30..34].copy_from_slice(&[192, 0, 2, 9]);
    frame[34..36].copy_from_slice(&source_port.to_be_bytes());
    frame[36..38].copy_from_slice(&PORT.to_be_bytes());
    frame[38..40].copy_from_slice(&((8 + payload) as u16).to_be_bytes());
    frame
}

/// Whether a flow is made of frames of [`udp`].
pub fn is_ours(key: &FlowKey) -> bool {
    key.proto == 17 && key.port[1] == PORT && key.addr[1][12..] == [192, 0, 2, 9]
}
