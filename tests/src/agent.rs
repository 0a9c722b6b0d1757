//! The sensor as a process under test: started in a namespace, asked over HTTP, read through its journal.
//!
//! The process is killed when the guard is dropped, and by the kernel when this process dies. Must never use anything
//! of the sensor but its command line, its listener and its files: those are the contract.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::metrics::Metrics;
use crate::netns::Netns;

/// Where the sensor listens inside its namespace.
pub const LISTEN: &str = "127.0.0.1:9477";

const POLL: Duration = Duration::from_millis(50);
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// A response longer than this is no metrics page: the reader gives up instead of filling memory.
const MAX_RESPONSE_BYTES: u64 = 8 << 20;

/// A running `sensor run`.
#[derive(Debug)]
pub struct Agent<'a> {
    child: Child,
    namespace: &'a Netns,
    state_dir: PathBuf,
    log: PathBuf,
}

impl<'a> Agent<'a> {
    /// Starts `binary run -i INTERFACE... --listen LISTEN --state-dir STATE_DIR ARGUMENTS...` in `namespace`.
    ///
    /// What it says goes to `STATE_DIR/../NAME.log`, beside the state directory, see [`Agent::log`].
    ///
    /// # Errors
    /// When the process cannot be started or the directory cannot be made.
    pub fn start(
        binary: &Path,
        namespace: &'a Netns,
        interfaces: &[&str],
        state_dir: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        fs::create_dir_all(state_dir).with_context(|| format!("cannot make {}", state_dir.display()))?;
        let log = state_dir.with_extension("log");
        let output = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let mut command = namespace.command(binary);
        command.arg("run");
        for interface in interfaces {
            command.args(["-i", interface]);
        }
        command
            .args(["--listen", LISTEN, "--state-dir"])
            .arg(state_dir)
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        // A group of its own: Ctrl-C in the terminal reaches this process, which then ends the sensor in order.
        command.process_group(0);
        die_with_parent(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Self {
            child,
            namespace,
            state_dir: state_dir.to_owned(),
            log,
        })
    }

    /// Process id of the sensor.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The exit status if it has ended by itself.
    ///
    /// # Errors
    /// When the process cannot be asked.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// `GET path` on the listener: status code and body.
    ///
    /// # Errors
    /// When nobody listens or the answer is no HTTP.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        get(self.namespace, LISTEN.parse()?, path)
    }

    /// One scrape of `/metrics`.
    ///
    /// # Errors
    /// When the listener does not answer with status 200.
    pub fn metrics(&self) -> Result<Metrics> {
        let (status, body) = self.get("/metrics")?;
        ensure!(status == 200, "/metrics answered with status {status}: {body}");
        Ok(Metrics::parse(&body))
    }

    /// Scrapes until `condition` holds; fails when it does not within `limit`, or when the sensor ends.
    ///
    /// # Errors
    /// Naming `what`, with the end of the log.
    pub fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Metrics) -> bool,
    ) -> Result<Metrics> {
        let end = Instant::now() + limit;
        loop {
            ensure!(!crate::stop::signalled(), "interrupted while waiting for {what}");
            if let Some(status) = self.child.try_wait()? {
                bail!("the sensor ended ({status}) before {what}\n{}", self.log_tail());
            }
            match self.metrics() {
                Ok(metrics) if condition(&metrics) => return Ok(metrics),
                outcome if Instant::now() > end => {
                    let scrape = outcome
                        .err()
                        .map(|error| format!("; last scrape: {error:#}"))
                        .unwrap_or_default();
                    bail!(
                        "no {what} within {} s{scrape}\n{}",
                        limit.as_secs(),
                        self.log_tail()
                    );
                }
                _ => thread::sleep(POLL),
            }
        }
    }

    /// The journal's lines so far, oldest first. A last line still being written is left for the next call.
    ///
    /// # Errors
    /// When the journal cannot be read or a whole line of it is not JSON.
    pub fn journal(&self) -> Result<Vec<Value>> {
        let path = self.state_dir.join("alerts.jsonl");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or(""));
        whole
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON in the journal: {line}")))
            .collect()
    }

    /// Sends SIGTERM and waits for the orderly end.
    ///
    /// # Errors
    /// When it is still there after `limit` (it is killed then).
    pub fn terminate(mut self, limit: Duration) -> Result<ExitStatus> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).context("cannot signal the sensor")?;
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        Err(anyhow!(
            "the sensor ignored SIGTERM for {} s\n{}",
            limit.as_secs(),
            self.log_tail()
        ))
    }

    /// Sends SIGKILL and waits: what a crash looks like.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(20)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        // Already gone is as good as killed; there is nobody to report anything else to.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// `GET path` over plain HTTP/1.1 from inside `namespace`: status code and body.
///
/// # Errors
/// When nobody listens at `address` or the answer is no HTTP.
pub fn get(namespace: &Netns, address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = namespace.run(|| TcpStream::connect_timeout(&address, HTTP_TIMEOUT))??;
    stream.set_read_timeout(Some(HTTP_TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut raw = Vec::new();
    stream.take(MAX_RESPONSE_BYTES).read_to_end(&mut raw)?;
    let text = String::from_utf8_lossy(&raw);
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .context("no HTTP status")?;
    ensure!(
        !head.to_ascii_lowercase().contains("transfer-encoding: chunked"),
        "{path} is streamed"
    );
    Ok((status, body.to_owned()))
}

/// The `sensor` binary to test: `SENSOR_BIN`, or the one of this build, brought up to date first.
///
/// # Errors
/// When it cannot be built or found.
pub fn binary() -> Result<PathBuf> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    if let Some(path) = std::env::var_os("SENSOR_BIN") {
        return Ok(path.into());
    }
    let built = *BUILT.get_or_init(|| match std::env::var_os("CARGO") {
        // Under `cargo test` alone nothing else builds the binary of another package.
        Some(cargo) => Command::new(cargo)
            .args(["build", "--quiet", "--package", "sensor", "--bin", "sensor"])
            .status()
            .is_ok_and(|status| status.success()),
        None => true,
    });
    ensure!(built, "`cargo build -p sensor` failed");
    let test = std::env::current_exe()?;
    let found = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("sensor"))
        .find(|path| path.is_file());
    found.context("no `sensor` binary beside the tests: run `cargo build -p sensor` or set SENSOR_BIN")
}

/// Asks the kernel to end the child when the thread that started it ends, so that a killed test leaves no sensor.
fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and only makes one prctl system call, which is
    // async-signal-safe and touches no memory.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
}
