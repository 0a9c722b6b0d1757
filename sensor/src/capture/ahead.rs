//! Reads ahead of the consumer in a thread: decompression and parsing share two cores.
//! It must never hold more than its few pieces, nor outlive its reader by more than one read.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

/// Bytes handed over at once.
const PIECE: usize = 256 << 10;
/// Pieces that wait at most.
const WAITING: usize = 4;

/// What the thread hands over: bytes, or why there are no more.
type Handed = io::Result<Vec<u8>>;

/// The consumer's end.
struct Ahead {
    full: Receiver<Handed>,
    /// Pieces go back to be filled again.
    empty: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

/// `source`, read by a thread of its own; read in place where no thread can be had.
pub(super) fn spawn(source: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let (filled, full) = sync_channel(WAITING);
    let (empty, returned) = sync_channel(WAITING + 1);
    // The source travels through a channel, so that it is still here if the thread cannot be had.
    let (hand, receive) = sync_channel::<Box<dyn Read + Send>>(1);
    let thread = thread::Builder::new()
        .name("sensor-inflate".to_owned())
        .spawn(move || {
            if let Ok(source) = receive.recv() {
                pump(source, &filled, &returned);
            }
        });
    if thread.is_err() {
        return source;
    }
    // The thread waits for it; a thread that is gone shows as the end of the channel, an error, below.
    let _handed = hand.send(source);
    Box::new(Ahead {
        full,
        empty,
        piece: Vec::new(),
        at: 0,
        ended: false,
    })
}

/// The thread: fills pieces until the source or the consumer ends.
fn pump(mut source: Box<dyn Read + Send>, filled: &SyncSender<Handed>, returned: &Receiver<Vec<u8>>) {
    loop {
        let mut piece = match returned.try_recv() {
            Ok(piece) => piece,
            Err(TryRecvError::Empty) => vec![0; PIECE],
            Err(TryRecvError::Disconnected) => return,
        };
        piece.resize(PIECE, 0);
        let mut length = 0;
        let failure = loop {
            match source.read(&mut piece[length..]) {
                Ok(0) => break None,
                Ok(count) => length += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
            if length == PIECE {
                break None;
            }
        };
        let last = length < PIECE;
        piece.truncate(length);
        // An empty piece is the end; an error is an end of its own.
        if (length > 0 || failure.is_none()) && filled.send(Ok(piece)).is_err() {
            return;
        }
        if let Some(error) = failure {
            let _gone = filled.send(Err(error));
            return;
        }
        if last {
            if length > 0 {
                let _gone = filled.send(Ok(Vec::new()));
            }
            return;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && !self.ended {
            match self.full.recv() {
                Ok(Ok(piece)) => {
                    self.ended = piece.is_empty();
                    let empty = std::mem::replace(&mut self.piece, piece);
                    self.at = 0;
                    // Full or gone: then the piece is dropped.
                    let _kept = self.empty.try_send(empty);
                }
                Ok(Err(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                Err(_) => {
                    self.ended = true;
                    return Err(io::Error::other("the thread that decompresses has ended"));
                }
            }
        }
        let left = self.piece.get(self.at..).unwrap_or_default();
        let count = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}
