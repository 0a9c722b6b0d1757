//! A remote shell as it looks on the wire: keystrokes echoed one by one, now and then a screen of output.
//!
//! No encryption and no shell: only the sizes and pauses of an SSH session. Must never run a command.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};

use crate::stop::Stop;
use crate::traffic::random::Random;
use crate::traffic::sockets::connect_from;

/// One keystroke in an SSH packet.
const KEY_BYTES: usize = 36;
/// The first byte of a record: an echo of the same size is wanted, or a screen.
const KEY: u8 = 0;
const ENTER: u8 = 1;
const SCREEN_BYTES: usize = 1_200;

/// Echoes keystrokes and answers enter with a screen, until the peer closes or is silent for several timeouts.
pub fn answer(mut stream: TcpStream) {
    let mut record = [0; KEY_BYTES];
    while stream.read_exact(&mut record).is_ok() {
        let reply = if record[0] == ENTER {
            SCREEN_BYTES
        } else {
            KEY_BYTES
        };
        if stream.write_all(&vec![0; reply]).is_err() {
            return;
        }
    }
}

/// Types on `server` from `source` until stopped: sessions of 100 to 400 keystrokes. Returns the keystrokes echoed.
pub fn work(source: IpAddr, server: SocketAddr, mut random: Random, stop: &Stop) -> u64 {
    let mut keys = 0;
    while stop.sleep(random.pause(200.0, 800.0)) {
        // A server that is gone is tried again after the pause.
        let _ended = session(source, server, &mut random, stop, &mut keys);
    }
    keys
}

fn session(
    source: IpAddr,
    server: SocketAddr,
    random: &mut Random,
    stop: &Stop,
    keys: &mut u64,
) -> io::Result<()> {
    let mut stream = connect_from(source, server)?;
    for _ in 0..random.between(100, 400) {
        let enter = random.between(0, 11) == 0;
        let mut record = [0; KEY_BYTES];
        record[0] = if enter { ENTER } else { KEY };
        stream.write_all(&record)?;
        let mut reply = vec![0; if enter { SCREEN_BYTES } else { KEY_BYTES }];
        stream.read_exact(&mut reply)?;
        *keys += 1;
        if !stop.sleep(random.pause(40.0, 400.0)) {
            return Ok(());
        }
    }
    Ok(())
}
