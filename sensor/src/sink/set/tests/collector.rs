//! Collectors that can be killed and started again: an HTTP server and a syslog server over TCP. They must never answer
//! for what they did not read.

use std::{
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// A request or a message.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) headers: String,
    pub(super) body: String,
}

type Stream = BufReader<TcpStream>;

/// What was received over all lives of a collector.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Received>>>);

impl Log {
    pub(super) fn all(&self) -> Vec<Received> {
        self.0.lock().unwrap().clone()
    }

    fn push(&self, received: Received) {
        self.0.lock().unwrap().push(received);
    }
}

/// One life of a collector.
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Answers POST with this status, which can be changed.
    pub(super) fn http(at: SocketAddr, log: &Log, status: &Arc<AtomicU16>) -> Self {
        let status = Arc::clone(status);
        Self::start(at, log, move |stream, log, stop| {
            answer(stream, log, stop, &status);
        })
    }

    /// Reads counted messages.
    pub(super) fn syslog(at: SocketAddr, log: &Log) -> Self {
        Self::start(at, log, read_messages)
    }

    fn start(
        at: SocketAddr,
        log: &Log,
        serve: impl Fn(Stream, &Log, &AtomicBool) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, serve) = (Arc::new(AtomicBool::new(false)), Arc::new(serve));
        let (stopped, log) = (Arc::clone(&stop), log.clone());
        let thread = std::thread::spawn(move || {
            let mut threads = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                if let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                    let (serve, log, stop) = (Arc::clone(&serve), log.clone(), Arc::clone(&stopped));
                    threads.push(std::thread::spawn(move || {
                        serve(BufReader::new(stream), &log, &stop);
                    }));
                } else {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            for thread in threads {
                thread.join().unwrap();
            }
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// Ends at once: what was sent but not read is lost, as with a process that is killed.
    pub(super) fn kill(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The next byte; `None` at the end, or when the collector is killed.
fn byte(stream: &mut Stream, stop: &AtomicBool) -> Option<u8> {
    let mut byte = [0];
    loop {
        if stop.load(Ordering::Acquire) {
            return None;
        }
        match stream.read(&mut byte) {
            Ok(0) => return None,
            Ok(_) => return Some(byte[0]),
            Err(cause)
                if matches!(
                    cause.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(_) => return None,
        }
    }
}

fn take(stream: &mut Stream, stop: &AtomicBool, count: usize) -> Option<String> {
    let bytes: Option<Vec<u8>> = (0..count).map(|_| byte(stream, stop)).collect();
    Some(String::from_utf8(bytes?).unwrap())
}

fn answer(mut stream: Stream, log: &Log, stop: &AtomicBool, status: &AtomicU16) {
    loop {
        let mut headers = Vec::new();
        while !headers.ends_with(b"\r\n\r\n") {
            let Some(byte) = byte(&mut stream, stop) else {
                return;
            };
            headers.push(byte);
        }
        let headers = String::from_utf8(headers).unwrap();
        let length = header(&headers, "content-length").unwrap().parse().unwrap();
        let Some(body) = take(&mut stream, stop, length) else {
            return;
        };
        let status = status.load(Ordering::Acquire);
        if status == 200 {
            log.push(Received { headers, body });
        }
        let location = if status == 302 {
            "Location: http://127.0.0.1:9/\r\n"
        } else {
            ""
        };
        // At once: pieces would wait for acknowledgements.
        let answer = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_messages(mut stream: Stream, log: &Log, stop: &AtomicBool) {
    loop {
        let mut digits = String::new();
        let length: usize = loop {
            match byte(&mut stream, stop) {
                None => return,
                Some(b' ') => break digits.parse().unwrap(),
                Some(digit) => digits.push(char::from(digit)),
            }
        };
        let Some(body) = take(&mut stream, stop, length) else {
            return;
        };
        log.push(Received {
            headers: String::new(),
            body,
        });
    }
}

/// The value of a header.
pub(super) fn header<'a>(headers: &'a str, name: &str) -> Option<&'a str> {
    headers
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
